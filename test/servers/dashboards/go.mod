// What reads Grafana's dashboards, with the types of the version that is pinned here.
module github.com/s3proxy/s3proxy/test/servers/dashboards

go 1.26.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.22

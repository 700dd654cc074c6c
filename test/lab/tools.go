package lab

import "testing"

// Helm returns the path of helm, which renders charts.
func Helm(t testing.TB) string { t.Helper(); return serverBinary(t, "helm") }

// Compose returns the path of the program that strictly parses a docker compose file.
func Compose(t testing.TB) string { t.Helper(); return serverBinary(t, "compose") }

// Envoy returns the path of the program that strictly parses an Envoy configuration.
func Envoy(t testing.TB) string { t.Helper(); return serverBinary(t, "envoy") }

// CycloneDX returns the path of the program that lists the components of a binary.
func CycloneDX(t testing.TB) string { t.Helper(); return serverBinary(t, "cyclonedx") }

// Manifests returns the path of the program that strictly parses Kubernetes manifests.
func Manifests(t testing.TB) string { t.Helper(); return serverBinary(t, "manifests") }

// Promtool returns the path of promtool, which checks metrics, alert rules and queries.
func Promtool(t testing.TB) string { t.Helper(); return serverBinary(t, "promtool") }

// Dashboards returns the path of the program that strictly parses a Grafana dashboard.
func Dashboards(t testing.TB) string { t.Helper(); return serverBinary(t, "dashboards") }

// Package metrics counts what a running proxy does, for Prometheus.
//
// It is told of requests by proxy.Config.Observe (requests.go), of exchanges with stores by
// upstream.Config.Observe, and of calls of a KMS by the keys that Key wraps (backends.go). What
// the process keeps in memory is counted when somebody looks (memory.go).
// No label has a key, a client's name, or anything else of which there may be any number:
// an operation is one of S3's or "unknown", a status is a class such as 2xx, and the names of
// buckets are bounded.
package metrics

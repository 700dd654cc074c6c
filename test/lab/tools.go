package lab

import "testing"

// Helm gives the path of helm, which renders charts.
func Helm(t testing.TB) string { t.Helper(); return serverBinary(t, "helm") }

// Compose gives the path of the program that reads a file for docker compose strictly.
func Compose(t testing.TB) string { t.Helper(); return serverBinary(t, "compose") }

// Envoy gives the path of the program that reads a configuration of Envoy strictly.
func Envoy(t testing.TB) string { t.Helper(); return serverBinary(t, "envoy") }

// CycloneDX gives the path of the program that lists what a binary is made of.
func CycloneDX(t testing.TB) string { t.Helper(); return serverBinary(t, "cyclonedx") }

// Manifests gives the path of the program that reads Kubernetes' manifests strictly.
func Manifests(t testing.TB) string { t.Helper(); return serverBinary(t, "manifests") }

// Promtool gives the path of promtool, which checks metrics, alert rules and queries.
func Promtool(t testing.TB) string { t.Helper(); return serverBinary(t, "promtool") }

// Dashboards gives the path of the program that reads a dashboard of Grafana strictly.
func Dashboards(t testing.TB) string { t.Helper(); return serverBinary(t, "dashboards") }

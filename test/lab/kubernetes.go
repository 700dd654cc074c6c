package lab

import "testing"

// Helm gives the path of helm, which renders charts.
func Helm(t testing.TB) string { t.Helper(); return serverBinary(t, "helm") }

// Manifests gives the path of the program that reads Kubernetes' manifests strictly.
func Manifests(t testing.TB) string { t.Helper(); return serverBinary(t, "manifests") }

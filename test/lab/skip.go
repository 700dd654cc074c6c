package lab

import (
	"os"
	"testing"
)

// All reports whether tests may use other people's programs: servers that take minutes to build,
// and clients that may not be installed. `make test-all` sets it.
func All() bool { return os.Getenv("S3PROXY_TEST_ALL") == "1" }

// Skip skips a test for a reason, which `make test` counts. With S3PROXY_TEST_REQUIRE=1 (.ci/run
// sets it for `make test-all`) a skip is a failure.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("S3PROXY_TEST_REQUIRE") == "1" {
		t.Fatalf("%s, and S3PROXY_TEST_REQUIRE=1 forbids skipping", reason)
	}
	t.Skip(reason)
}

// needAll skips a test that uses other people's programs, unless All is set.
func needAll(t testing.TB, program string) {
	t.Helper()
	if !All() {
		Skip(t, program+" is for make test-all")
	}
}

// TakesLong skips a test that is slow by nature or tries very many cases, unless All is set:
// somebody is waiting for `make test`.
func TakesLong(t testing.TB) {
	t.Helper()
	if !All() {
		Skip(t, "takes long: it is for make test-all")
	}
}

// Every is the step through a long list of cases, of which the first is always tried: short for
// `make test`, all for `make test-all`, and 1 with Long.
func Every(short, all int) int {
	switch {
	case Long:
		return 1
	case All():
		return all
	default:
		return short
	}
}

// Direct runs the tests against the bare stores, without a proxy. It shows that a test is fair (a
// failure there is not the proxy's fault) and able to fail (attacks and searches must find
// something).
var Direct = os.Getenv("S3PROXY_TEST_DIRECT") == "1"

// Long makes the tests try more places and larger objects (make test-long).
var Long = os.Getenv("S3PROXY_TEST_LONG") == "1"

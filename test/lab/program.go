package lab

import "testing"

// Program starts a foreign program that is installed, for one test, or skips the test (see Skip).
func Program(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	return start(place{t: t}, name, Need(t, name), args, Env())
}

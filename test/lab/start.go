package lab

import (
	"strings"
	"testing"
	"time"
)

// MustNotStart starts a proxy that must end by itself with a message that contains all the texts;
// with oneLine, in a single line.
func MustNotStart(t *testing.T, o ProxyOptions, oneLine bool, texts ...string) {
	t.Helper()
	if Direct {
		t.Skip("there is no proxy")
	}
	p := Launch(t, o)
	code, ok := p.Wait(15 * time.Second)
	output := strings.TrimSpace(p.Log())
	if !ok || code <= 0 {
		t.Errorf("it runs on, or ended with %d:\n%s", code, output)
		return
	}
	if oneLine && strings.Contains(output, "\n") {
		t.Errorf("more than one line:\n%s", output)
	}
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("no %q in:\n%s", text, output)
		}
	}
	if strings.Contains(output, ClientSecretKey) || strings.Contains(output, "panic") {
		t.Errorf("a secret or a panic in:\n%s", output)
	}
}

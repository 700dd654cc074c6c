package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Network is a network path to a server through a Toxiproxy, which can disturb it.
type Network struct {
	URL string // of the server through this path

	api   string
	named int
}

// NetworkTo starts a Toxiproxy in front of the server at a URL.
func NetworkTo(t testing.TB, url string) *Network {
	t.Helper()
	api, address := FreeAddress(t), FreeAddress(t)
	host, port, err := net.SplitHostPort(api)
	if err != nil {
		t.Fatal(err)
	}
	p := start(place{t: t}, "toxiproxy", serverBinary(t, "toxiproxy"), []string{"-host", host, "-port", port}, Env("LOG_LEVEL=error"))
	p.AwaitListening(t, api)
	n := &Network{URL: "http://" + address, api: "http://" + api}
	n.call(t, http.MethodPost, "/proxies", map[string]any{"name": "way", "listen": address, "upstream": strings.TrimPrefix(url, "http://"), "enabled": true})
	return n
}

// Toxic adds a disturbance to a share of the connections (0 to 1) in one direction; "upstream" is
// towards the server. Kinds and attributes are Toxiproxy's.
func (n *Network) Toxic(t testing.TB, kind, direction string, share float64, attributes map[string]int) {
	t.Helper()
	n.named++
	n.call(t, http.MethodPost, "/proxies/way/toxics", map[string]any{"name": fmt.Sprint(n.named), "type": kind, "stream": direction, "toxicity": share, "attributes": attributes})
}

// Cut ends all current connections; new ones get through.
func (n *Network) Cut(t testing.TB) {
	t.Helper()
	for _, enabled := range []bool{false, true} {
		n.call(t, http.MethodPost, "/proxies/way", map[string]any{"enabled": enabled})
	}
}

// Heal removes all disturbances, and ends all current connections first. Toxiproxy hands on what it
// holds of a connection that it undisturbs, and waits five seconds for each piece that nobody takes
// any more. It does not say when a connection is gone: a delayed piece notices after its delay.
func (n *Network) Heal(t testing.TB) {
	t.Helper()
	n.call(t, http.MethodPost, "/proxies/way", map[string]any{"enabled": false})
	time.Sleep(2 * time.Second)
	n.call(t, http.MethodPost, "/reset", nil)
}

func (n *Network) call(t testing.TB, method, path string, body any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, n.api+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("Toxiproxy: %s %s: %s", method, path, resp.Status)
	}
}

// FailingWay starts an HAProxy in front of the server at a URL. If a condition of HAProxy's holds,
// such as "{ rand(100) lt 3 }", the HAProxy itself answers with a status.
func FailingWay(t testing.TB, url string, status int, condition string) (failing string) {
	t.Helper()
	address := FreeAddress(t)
	at := place{t: t}
	config := fmt.Sprintf(`defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen failing
    bind %s
    http-request return status %d content-type text/plain string "out of order" if %s
    server store %s
`, address, status, condition, strings.TrimPrefix(url, "http://"))
	path := at.folder("haproxy") + "/haproxy.cfg"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(at, "haproxy", Need(t, "haproxy"), []string{"-db", "-f", path}, Env()).AwaitListening(t, address)
	return "http://" + address
}

package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy"
)

func TestASecretInTheClearFromAnotherMachineOpensNoTunnel(t *testing.T) {
	find := func(id string) (proxy.Credential, bool) {
		return map[string]proxy.Credential{"signs": {Secret: "secret"}, "certificate": {}}[id], id == "signs" || id == "certificate"
	}
	for what, c := range map[string]struct {
		id, secret, from string
		secure           bool
		want             string
	}{
		"on this machine":             {"signs", "secret", "127.0.0.1:5", false, ""},
		"over IPv6's loopback":        {"signs", "secret", "[::1]:5", false, ""},
		"from another, over TLS":      {"signs", "secret", "192.0.2.1:5", true, ""},
		"from another, in the clear":  {"signs", "secret", "192.0.2.1:5", false, "in the clear"},
		"from a mapped address":       {"signs", "secret", "[::ffff:192.0.2.1]:5", false, "in the clear"},
		"a wrong secret":              {"signs", "secreT", "127.0.0.1:5", false, "wrong"},
		"no secret":                   {"signs", "", "127.0.0.1:5", false, "wrong"},
		"a client that has no secret": {"certificate", "", "127.0.0.1:5", false, "wrong"},
		"nobody's key":                {"other", "secret", "127.0.0.1:5", false, "wrong"},
	} {
		r := httptest.NewRequest(http.MethodConnect, "http://x", nil)
		r.RemoteAddr = c.from
		if c.secure {
			r.TLS = &tls.ConnectionState{}
		}
		r.SetBasicAuth(c.id, c.secret)
		r.Header["Proxy-Authorization"] = r.Header["Authorization"]
		id, err := mayTunnel(&config.Config{Auth: config.AuthSigV4}, find, nil)(r)
		if c.want == "" && (err != nil || id != c.id) || c.want != "" && (err == nil || id != "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret ") && strings.Contains(err.Error(), "secreT")) {
			t.Errorf("%s: %q, %v", what, id, err)
		}
	}
}

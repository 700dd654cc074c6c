package lab

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Loopback gives the URL of an HTTP proxy whose tunnels end at the loopback address, whatever host
// they are asked for: clients that have buckets in hosts need no resolver that knows these.
func Loopback(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, port, err := net.SplitHostPort(r.Host)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, "only tunnels", http.StatusBadRequest)
			return
		}
		to, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		go func() {
			io.Copy(to, buffered)
			to.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(from, to)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

package bench

import (
	"net/http"
	"slices"

	"github.com/s3proxy/s3proxy/test/lab"
)

// proxySetting is how one s3proxy differs from the others of a stage.
type proxySetting struct {
	args  []string
	env   []string
	tls   bool       // at the clients' side, with the stage's certificate
	store *lab.Store // nil: the stage's
	core  int        // the only core that it runs on, counted from 1; 0: any
}

// proxy starts one before the stage's store, with the keyset of the stage's other proxies.
func (w *world) proxy(st *stage, name string, set proxySetting) *subject {
	b := w.b
	metrics, admin := lab.FreeAddress(b), lab.FreeAddress(b)
	store := set.store
	if store == nil {
		store = st.store
	}
	args := []string{"--metrics-listen", metrics, "--admin-listen", admin}
	if !slices.Contains(set.args, "--log-level") {
		args = append(args, "--log-level", "error")
	}
	args = append(args, set.args...)
	o := lab.ProxyOptions{Upstream: store, DataDir: st.dataDir, Address: lab.FreeAddress(b), Args: args, Env: set.env}
	scheme := "http://"
	if set.tls {
		o.Args, scheme = append(o.Args, "--tls-cert", st.certs.cert, "--tls-key", st.certs.key), "https://"
	}
	start := func() *lab.Process {
		p := lab.Proxy(b, o)
		st.dataDir, o.DataDir = p.DataDir, p.DataDir
		p.AwaitListening(b, metrics)
		if set.core > 0 {
			w.pin(p.PID(), set.core)
		}
		return p.Process
	}
	var client *http.Client
	if st.certs.authority == nil {
		client = newClient(nil)
	} else {
		client = newClient(st.certs.authority.Pool)
	}
	s := &subject{target: target{name, scheme + o.Address, lab.ClientAccessKey, lab.ClientSecretKey, client}, metrics: "http://" + metrics + "/metrics", admin: "http://" + admin}
	s.process = start()
	s.restart = func() {
		s.process.Term()
		if _, ended := s.process.Wait(lab.AnswerWithin); !ended {
			b.Fatal("the proxy does not end")
		}
		s.process = start()
	}
	return s
}

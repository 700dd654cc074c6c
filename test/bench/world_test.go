package bench

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// The subjects, in the order in which tables have them.
const (
	direct, reverse, opaque, md5 = "direct", "reverse", "opaque", "md5"
)

var subjectNames = []string{direct, reverse, opaque, md5}

// subject is a way to the store that is measured.
type subject struct {
	target
	process *lab.Process // nil: there is none between client and store
	metrics string       // URL, empty without a process
	admin   string       // URL, empty where there is no profile to be had
	restart func()       // nil: nothing that would be forgotten
}

// sealed tells whether it encrypts.
func (s *subject) sealed() bool { return s.name == opaque || s.name == md5 }

// world is what runs: a store and the subjects in front of it, and the same with TLS once a job
// asks for that.
type world struct {
	b             *testing.B
	settings      settings
	plain, secure *stage
	made          map[string]bool // what jobs have prepared, by stage and name
}

type stage struct {
	subjects []*subject
	tls      bool
	trash    string // of the store; empty: it deletes at once
}

// emptyTrash deletes what MinIO would only delete after minutes: what was overwritten since fills
// a machine's memory.
func (s *stage) emptyTrash(b *testing.B) {
	b.Helper()
	if s.trash == "" {
		return
	}
	old, err := os.ReadDir(s.trash)
	if err != nil {
		b.Fatal(err)
	}
	for _, one := range old {
		if err := os.RemoveAll(filepath.Join(s.trash, one.Name())); err != nil {
			b.Fatal(err)
		}
	}
}

// by gives the subject of a name.
func (s *stage) by(name string) *subject {
	for _, one := range s.subjects {
		if one.name == name {
			return one
		}
	}
	return nil
}

// writer is whose objects a subject reads.
func (s *stage) writer(one *subject) *subject {
	if one.sealed() {
		return s.by(md5)
	}
	return s.by(direct)
}

func (w *world) stage(secure bool) *stage {
	w.b.Helper()
	at := &w.plain
	if secure {
		at = &w.secure
	}
	if *at == nil {
		*at = w.build(secure)
	}
	return *at
}

// certificates are those of a stage with TLS.
type certificates struct {
	authority *lab.Authority
	cert, key string
}

func (w *world) build(secure bool) *stage {
	b := w.b
	var c certificates
	var roots *x509.CertPool
	if secure {
		dir := b.TempDir()
		c = certificates{lab.NewAuthority(b), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
		c.authority.Issue(b, "proxy.test", c.cert, c.key)
		roots = c.authority.Pool
	}
	store := w.store(secure, c.authority)
	st := &stage{tls: secure}
	if w.settings.store == "minio" {
		st.trash = filepath.Join(store.Dir, "data", ".minio.sys", "tmp", ".trash")
	}
	client := func() *http.Client {
		// HTTP/1.1, as SDKs speak it to S3.
		return &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10, DisableCompression: true,
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: false,
		}}
	}
	add := func(name, url, key, secret string) *subject {
		s := &subject{target: target{name, url, key, secret, client()}}
		st.subjects = append(st.subjects, s)
		return s
	}
	add(direct, store.URL, store.AccessKey, store.SecretKey)
	setting := reverseSetting{Listen: lab.FreeAddress(b), Metrics: lab.FreeAddress(b), Target: store.URL}
	scheme := "http://"
	if secure {
		setting.Cert, setting.Key, setting.CA = c.cert, c.key, c.authority.File
		scheme = "https://"
	}
	rev := add(reverse, scheme+setting.Listen, store.AccessKey, store.SecretKey)
	rev.process, rev.metrics = startReverse(b, setting), "http://"+setting.Metrics+"/metrics"
	var dataDir string // one keyset for both: they read each other's objects
	for _, mode := range []string{opaque, md5} {
		metrics, admin := lab.FreeAddress(b), lab.FreeAddress(b)
		o := lab.ProxyOptions{Upstream: store, DataDir: dataDir, Address: lab.FreeAddress(b), Args: []string{"--log-level", "error", "--etag", mode, "--metrics-listen", metrics, "--admin-listen", admin}}
		if secure {
			o.Args = append(o.Args, "--tls-cert", c.cert, "--tls-key", c.key, "--upstream-ca", c.authority.File)
		}
		p := lab.Proxy(b, o)
		dataDir, o.DataDir = p.DataDir, p.DataDir
		s := add(mode, scheme+p.Address, lab.ClientAccessKey, lab.ClientSecretKey)
		s.process, s.metrics = p.Process, "http://"+metrics+"/metrics"
		s.admin = "http://" + admin
		s.process.AwaitListening(b, metrics)
		s.restart = func() {
			s.process.Term()
			if _, ended := s.process.Wait(lab.AnswerWithin); !ended {
				b.Fatal("the proxy does not end")
			}
			s.process = lab.Proxy(b, o).Process
			s.process.AwaitListening(b, metrics)
		}
	}
	if err := st.by(md5).do(http.MethodPut, "/bench", nil); err != nil {
		b.Fatal(err)
	}
	return st
}

func (w *world) store(secure bool, a *lab.Authority) *lab.Store {
	w.b.Helper()
	switch versity := w.settings.store == "versitygw"; {
	case secure && versity:
		return lab.SecureVersitygw(w.b, a)
	case secure:
		return lab.SecureMinIO(w.b, a)
	case versity:
		return lab.Versitygw(w.b)
	default:
		return lab.MinIO(w.b)
	}
}

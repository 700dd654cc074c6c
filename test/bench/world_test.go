package bench

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
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
	sends   sending      // how its clients send bodies, in jobs that leave that to them
	refused atomic.Int64 // how often its clients were told to come again, in a sample
	peers   []*subject   // replicas beside it, which are measured with it
}

// sealed tells whether it encrypts.
func (s *subject) sealed() bool { return s.name == opaque || s.name == md5 }

// world is what runs: a store and the subjects in front of it, and the same with TLS once a job
// asks for that.
type world struct {
	b             *testing.B
	settings      settings
	proxyArgs     []string // of every s3proxy that build starts
	plain, secure *stage
	made          map[string]bool // what jobs have prepared, by stage and name
}

type stage struct {
	subjects []*subject
	tls      bool
	store    *lab.Store
	certs    certificates
	dataDir  string   // one keyset for all proxies: they read each other's objects
	trash    []string // of stores that do not delete at once
}

// emptyTrash deletes what MinIO would only delete after minutes: what was overwritten since fills
// a machine's memory.
func (s *stage) emptyTrash(b *testing.B) {
	b.Helper()
	for _, folder := range s.trash {
		old, err := os.ReadDir(folder)
		if err != nil {
			b.Fatal(err)
		}
		for _, one := range old {
			if err := os.RemoveAll(filepath.Join(folder, one.Name())); err != nil {
				b.Fatal(err)
			}
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
	st := &stage{tls: secure, store: store, certs: c, trash: w.trashOf(store)}
	add := func(name, url, key, secret string) *subject {
		s := &subject{target: target{name, url, key, secret, newClient(roots)}}
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
	for _, mode := range []string{opaque, md5} {
		set := proxySetting{args: append([]string{"--etag", mode}, w.proxyArgs...), tls: secure}
		if secure {
			set.args = append(set.args, "--upstream-ca", c.authority.File)
		}
		st.subjects = append(st.subjects, w.proxy(st, mode, set))
	}
	if err := st.by(md5).do(http.MethodPut, "/bench", nil); err != nil {
		b.Fatal(err)
	}
	return st
}

// newClient speaks HTTP/1.1, as SDKs speak it to S3.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 4096, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: false,
	}}
}

// trashOf is where a MinIO keeps what it has yet to delete.
func (w *world) trashOf(stores ...*lab.Store) (folders []string) {
	if w.settings.store == "minio" {
		for _, s := range stores {
			folders = append(folders, filepath.Join(s.Dir, "data", ".minio.sys", "tmp", ".trash"))
		}
	}
	return folders
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

package lab

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Store is a running S3 store.
type Store struct {
	*Process
	URL       string
	AccessKey string
	SecretKey string
	Dir       string // where it keeps objects
	Address   string // where a store below a domain listens

	roots *x509.CertPool // authorities that sign its certificate; nil: no TLS
	start func() *Process
}

// Restart starts a store again after it was killed, at the same address with the same objects.
func (s *Store) Restart(t testing.TB) {
	t.Helper()
	s.Process = s.start()
	await(place{t: t}, s, "/")
}

// The stores' credentials differ from those of the proxy's clients, so that a test fails if it uses
// one for the other.
const (
	storeAccessKey = "store-access-key"
	storeSecretKey = "store+secret/0d9f7Kq3mZ1vXn5Rb8Tw"
)

// Versitygw starts a versitygw with a posix backend for one test.
func Versitygw(t testing.TB) *Store { t.Helper(); return versitygw(place{t: t}) }

// MinIO starts a MinIO for one test.
func MinIO(t testing.TB) *Store { t.Helper(); return minio(place{t: t}) }

// VersitygwBelow starts a versitygw that also serves its buckets as hosts below a domain. Its URL
// names the domain, which no resolver knows.
func VersitygwBelow(t testing.TB, domain string) *Store {
	t.Helper()
	return below(versitygwIn(place{t: t}, place{t: t}.folder("versitygw"), []string{"--virtual-domain", domain}, nil), domain)
}

// MinIOBelow is VersitygwBelow with a MinIO.
func MinIOBelow(t testing.TB, domain string) *Store {
	t.Helper()
	return below(minioWith(place{t: t}, "MINIO_DOMAIN="+domain), domain)
}

func below(s *Store, domain string) *Store {
	s.Address = strings.TrimPrefix(s.URL, "http://")
	_, port, _ := strings.Cut(s.Address, ":")
	s.URL = "http://" + domain + ":" + port
	return s
}

// VersitygwAt starts a versitygw on a folder that already holds a store, such as the embedded
// one's; sidecar is the folder of its metadata, or "" for extended attributes.
func VersitygwAt(t testing.TB, dir, sidecar string) *Store {
	t.Helper()
	return versitygwAt(place{t: t}, dir, sidecar)
}

// VersitygwForSuite starts a versitygw with versioning, as versitygw's own test suite requires.
func VersitygwForSuite(t testing.TB) *Store {
	t.Helper()
	at := place{t: t}
	versions := at.folder("versions")
	return versitygwIn(at, at.folder("versitygw"), nil, []string{"--versioning-dir", versions})
}

// VersitygwBinary returns the path of the real versitygw command.
func VersitygwBinary(t testing.TB) string { t.Helper(); return serverBinary(t, "versitygw") }

// SharedVersitygw returns the versitygw that all tests of the package share.
func SharedVersitygw(t testing.TB) *Store { t.Helper(); return share(t, &sharedVersitygw, versitygw) }

// SharedMinIO returns the MinIO that all tests of the package share.
func SharedMinIO(t testing.TB) *Store { t.Helper(); return share(t, &sharedMinIO, minio) }

// SharedStores returns the stores that this run may use: versitygw and, with All, MinIO.
func SharedStores(t testing.TB) []*Store {
	t.Helper()
	stores := []*Store{SharedVersitygw(t)}
	if All() {
		stores = append(stores, SharedMinIO(t))
	}
	return stores
}

type slot struct {
	sync.Mutex
	store *Store
}

var sharedVersitygw, sharedMinIO slot

func share(t testing.TB, s *slot, start func(place) *Store) *Store {
	t.Helper()
	s.Lock()
	defer s.Unlock()
	if s.store == nil {
		s.store = start(place{t: t, shared: true})
	}
	ShowOnFailure(t, s.store.Process)
	return s.store
}

func versitygw(at place) *Store {
	at.t.Helper()
	return versitygwAt(at, at.folder("versitygw"), "")
}

func versitygwAt(at place, dir, sidecar string) *Store {
	at.t.Helper()
	if sidecar != "" {
		return versitygwIn(at, dir, nil, []string{"--sidecar", sidecar})
	}
	return versitygwIn(at, dir, nil, nil)
}

// versitygwIn starts a versitygw with further flags for the gateway and for its posix backend.
func versitygwIn(at place, dir string, flags, posix []string) *Store {
	at.t.Helper()
	return await(at, startVersitygw(at, dir, flags, posix), "/")
}

func startVersitygw(at place, dir string, flags, posix []string) *Store {
	at.t.Helper()
	bin := serverBinary(at.t, "gateway")
	if All() {
		bin = serverBinary(at.t, "versitygw")
	}
	address := FreeAddress(at.t)
	args := slices.Concat([]string{"--access", storeAccessKey, "--secret", storeSecretKey, "--port", address, "--keep-alive", "--quiet"},
		flags, []string{"posix"}, posix, []string{dir})
	run := func() *Process { return start(at, "versitygw", bin, args, Env()) }
	return &Store{Process: run(), URL: "http://" + address, Dir: dir, start: run}
}

func minio(at place) *Store { at.t.Helper(); return minioWith(at) }

func minioWith(at place, settings ...string) *Store {
	at.t.Helper()
	return await(at, startMinIO(at, nil, settings...), "/") // 503 until it is ready
}

func startMinIO(at place, flags []string, settings ...string) *Store {
	at.t.Helper()
	bin := serverBinary(at.t, "minio")
	address, dir := FreeAddress(at.t), at.folder("minio")
	env := Env("HOME="+filepath.Join(dir, ".home"), "MINIO_ROOT_USER="+storeAccessKey, "MINIO_ROOT_PASSWORD="+storeSecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off")
	env = append(env, settings...)
	args := append([]string{"server", "--address", address}, append(flags, filepath.Join(dir, "data"))...)
	run := func() *Process { return start(at, "minio", bin, args, env) }
	return &Store{Process: run(), URL: "http://" + address, Dir: dir, start: run}
}

// Forward passes on to the store a request that a test received in its place.
func (s *Store) Forward(via http.RoundTripper, r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", strings.TrimPrefix(s.URL, "http://"), ""
	if r.ContentLength == 0 {
		out.Body = nil
	}
	return via.RoundTrip(out)
}

// await waits until the store answers properly at a path.
func await(at place, s *Store, path string) *Store {
	at.t.Helper()
	s.AccessKey, s.SecretKey = storeAccessKey, storeSecretKey
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}}
	defer client.CloseIdleConnections()
	s.until(at.t, 30*time.Second, func() bool {
		req, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
		if err != nil {
			return false
		}
		// Signed, because MinIO listens before it knows its users.
		credentials := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}
		req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		if err := v4.NewSigner().SignHTTP(req.Context(), credentials, req, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
			return false
		}
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

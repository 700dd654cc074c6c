package running

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// secureStores are stores that use TLS with a certificate of an authority.
func secureStores(t *testing.T, by *lab.Authority) []*lab.Store {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	stores := []*lab.Store{lab.SecureVersitygw(t, by)}
	if lab.All() {
		stores = append(stores, lab.SecureMinIO(t, by))
	}
	return stores
}

func TestAStoresCertificateIsVerifiedByTheGivenAuthorityAlone(t *testing.T) {
	t.Parallel()
	authority, another := lab.NewAuthority(t), lab.NewAuthority(t)
	uri, _ := lab.NewKeyset(t)
	for _, store := range secureStores(t, authority) {
		for name, o := range map[string]lab.ProxyOptions{
			"a flag":         {Args: []string{"--upstream-ca", authority.File}},
			"AWS's variable": {Env: []string{"AWS_CA_BUNDLE=" + authority.File}},
			"our variable":   {Env: []string{"AWS_CA_BUNDLE=" + another.File, "S3PROXY_UPSTREAM_CA=" + authority.File}},
		} {
			o.Upstream, o.Args = store, append(o.Args, "--kms", uri)
			proxy := lab.Proxy(t, o)
			bucket := s3test.NewBucket(t, proxy.S3())
			for _, n := range []int{1000, 3_000_000} {
				s3test.RoundTrip(t, proxy.S3(), bucket, n)
			}
			if strings.Contains(proxy.Log(), "INSECURE") {
				t.Errorf("%s: %s", name, proxy.Log())
			}
		}
		wary := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: []string{"SSL_CERT_FILE=" + authority.File}, Args: []string{"--upstream-ca", another.File}})
		if a := (s3test.Call{Method: "GET", Path: "/"}).Do(t, wary.S3()); a.Status != 503 {
			t.Errorf("a certificate of another authority, which the system would trust: %v", a)
		}
	}
}

func TestAnUnverifiedStoreIsShoutedAbout(t *testing.T) {
	t.Parallel()
	for _, store := range secureStores(t, lab.NewAuthority(t)) {
		admin := lab.FreeAddress(t)
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-insecure", "--admin-listen", admin}})
		s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 3_000_000)
		if !strings.Contains(proxy.Log(), "level=WARN") || !strings.Contains(proxy.Log(), "INSECURE") {
			t.Errorf("no warning at the start:\n%s", proxy.Log())
		}
		resp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "not verified (upstream-insecure)") {
			t.Errorf("/readyz: %s %q, %v", resp.Status, body, err)
		}
	}
}

func TestABucketsStoreHasSettingsOfTLSOfItsOwn(t *testing.T) {
	t.Parallel()
	authority := lab.NewAuthority(t)
	uri, _ := lab.NewKeyset(t)
	for _, store := range secureStores(t, authority) {
		for setting, want := range map[string]int{"ca: " + authority.File: 200, "insecure: true": 200, "payload: checked": 503} {
			secret := lab.PrivateFile(t, store.SecretKey)
			config := lab.PrivateFile(t, "buckets:\n  of-its-own: {upstream: {url: '"+store.URL+"', "+setting+", credentials: {access-key-id: "+store.AccessKey+", secret-access-key-file: "+secret+"}}}\n")
			proxy := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--config", config, "--kms", uri}})
			if a := (s3test.Call{Method: "PUT", Path: "/of-its-own"}).Do(t, proxy.S3()); a.Status != want && a.Code != "BucketAlreadyOwnedByYou" {
				t.Errorf("%s: %v", setting, a)
			} else if want == 200 {
				s3test.RoundTrip(t, proxy.S3(), "of-its-own", 1000)
			}
		}
	}
}

// No S3 server asks for client certificates itself, but a reverse proxy in front of one does.
func TestTheProxyPresentsACertificateToTheStoreEvenAfterItsRenewal(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	authority, store := lab.NewAuthority(t), lab.SharedVersitygw(t)
	names := make(chan string, 1000)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names <- r.TLS.PeerCertificates[0].Subject.CommonName
		w.Header().Set("Connection", "close") // so that each request needs a handshake
		lab.WayTo(t, store).ServeHTTP(w, r)
	}))
	dir := t.TempDir()
	cert, key, serverCert, serverKey := filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key"), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	authority.Issue(t, "front.test", serverCert, serverKey)
	authority.Issue(t, "first", cert, key)
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: authority.Pool, ClientAuth: tls.RequireAndVerifyClientCert}
	front.StartTLS()
	t.Cleanup(front.Close)
	start := func(args ...string) *lab.ProxyProcess {
		return lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: front.URL, Args: append(args, "--upstream-ca", authority.File)})
	}
	proxy := start("--upstream-cert", cert, "--upstream-key", key)
	bucket := s3test.NewBucket(t, proxy.S3())
	s3test.RoundTrip(t, proxy.S3(), bucket, 3_000_000)
	if name := <-names; name != "first" {
		t.Errorf("the certificate of %q", name)
	}
	authority.Issue(t, "second", cert, key)
	for len(names) > 0 {
		<-names
	}
	s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
	if name := <-names; name != "second" {
		t.Errorf("after it was renewed the certificate of %q", name)
	}
	if a := (s3test.Call{Method: "GET", Path: "/" + bucket}).Do(t, start().S3()); a.Status != 503 {
		t.Errorf("without a certificate: %v", a)
	}
}

package everyclient

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// place is where a client is run: at a store itself, or at the balancer before three proxies.
type place struct {
	lab.S3
	name  string // store, and how it is reached
	store string
	mode  string // of ETags; empty: direct
	ca    string // file of the authority that signed the certificate; empty: no TLS
}

func (p place) direct() bool { return p.mode == "" }

// The names of places are a store, then "direct" or an ETag mode, then what is not usual: "https",
// or "v2" for a proxy that takes all of Signature Version 2.
var (
	usual      = []string{"minio direct", "versitygw direct", "minio md5", "versitygw opaque", "minio opaque"}
	overHTTPS  = []string{"minio direct https", "versitygw direct https", "minio md5 https", "versitygw opaque https", "minio opaque https"}
	onMinIO    = []string{"minio direct", "minio md5", "minio opaque"}
	minioHTTPS = []string{"minio direct https", "minio md5 https", "minio opaque https"}
)

// started are the places that have been used, for all clients.
type started struct {
	t         *testing.T
	places    map[string]place
	authority *lab.Authority
	stores    map[string]*lab.Store
}

// place starts what is missing.
func (s *started) place(name string) place {
	s.t.Helper()
	if p, there := s.places[name]; there {
		return p
	}
	words := strings.Fields(name)
	p := place{name: name, store: words[0]}
	https := slices.Contains(words, "https")
	if words[1] == "direct" {
		store := s.storeAt(p.store, https)
		p.S3 = store.S3()
		if https {
			p.ca = s.authority.File
		}
	} else {
		p.mode = words[1]
		args := []string{"--etag", p.mode, "--domain", "localhost"}
		if slices.Contains(words, "v2") {
			args = append(args, "--auth-v2", "all")
		}
		c := lab.NewCluster(s.t, lab.ClusterOptions{Store: s.storeAt(p.store, false), Balancer: "haproxy", Plain: !https, Args: args})
		p.S3 = c.S3
		if https {
			p.ca = c.CA
		}
	}
	if https { // pgBackRest looks for no IP address in certificates
		p.URL = strings.Replace(p.URL, "127.0.0.1", "localhost", 1)
	}
	if s.places == nil {
		s.places = map[string]place{}
	}
	s.places[name] = p
	return p
}

func (s *started) storeAt(name string, https bool) *lab.Store {
	key := name + fmt.Sprint(https)
	if s.stores == nil {
		s.stores, s.authority = map[string]*lab.Store{}, lab.NewAuthority(s.t)
	}
	if s.stores[key] == nil {
		switch {
		case name == lab.OnMinIO && https:
			s.stores[key] = lab.SecureMinIO(s.t, s.authority)
		case name == lab.OnMinIO:
			s.stores[key] = lab.MinIO(s.t)
		case https:
			s.stores[key] = lab.SecureVersitygw(s.t, s.authority)
		default:
			s.stores[key] = lab.VersitygwForSuite(s.t)
		}
	}
	return s.stores[key]
}

// host gives host and port of the place.
func (p place) host() string {
	_, host, _ := strings.Cut(p.URL, "://")
	return host
}

// env is a client's environment: credentials, region, a home of its own, and whom it trusts.
func (p place) env(home string, set ...string) []string {
	if p.ca != "" {
		for _, name := range []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"} {
			set = append(set, name+"="+filepath.Join(home, "ca.pem"))
		}
	}
	return p.Env(append([]string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home}, set...)...)
}

// programs are what commands may call by name, and where that is.
type programs map[string]string

// bucket makes one.
func (p place) bucket(t testing.TB) string {
	t.Helper()
	if p.ca == "" {
		return s3test.NewBucket(t, p.S3)
	}
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(p.ca)
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatalf("%s is no certificate: %v", p.ca, err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	name, sdk := lab.FreeName("client"), s3test.SDK(t, p.S3)
	if _, err := sdk.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}, func(o *s3.Options) { o.HTTPClient = client }); err != nil {
		t.Fatal(err)
	}
	return name
}

func (p place) script(t testing.TB, script, bucket string, known programs, set ...string) string {
	t.Helper()
	return p.scriptOf(t, "", script, bucket, known, set...)
}

// scriptOf runs commands as a user of the machine, if root runs the tests; "" is who runs them.
func (p place) scriptOf(t testing.TB, user, script, bucket string, known programs, set ...string) string {
	t.Helper()
	home, bin := lab.PublicFolder(t), lab.PublicFolder(t)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if err := os.Symlink(known[name], filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if p.ca != "" {
		text, err := os.ReadFile(p.ca)
		if err == nil {
			err = os.WriteFile(filepath.Join(home, "ca.pem"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shell := []string{lab.Need(t, "bash")}
	if user != "" && os.Geteuid() == 0 {
		lab.MustRun(t, lab.Env(), "chown", user, home)
		shell = []string{lab.Need(t, "setpriv"), "--reuid", user, "--regid", user, "--init-groups", "bash"}
	}
	file := filepath.Join(bin, "script")
	// With set -e a command ends the script that fails, but none before && and none behind a !: scripts
	// have no && therefore, and not.
	const begin = `set -euo pipefail; not() { if "$@"; then return 1; fi; }; cd "$HOME"` + "\n"
	if err := os.WriteFile(file, []byte(begin+p.here(script, bucket, home)), 0o644); err != nil {
		t.Fatal(err)
	}
	env := append(p.env(home, set...), "PATH="+bin+":/usr/bin:/bin:/usr/sbin:/sbin")
	out, err := lab.RunBoth(t, env, shell[0], append(shell[1:], file)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// here writes the place into what a page shows.
func (p place) here(text, bucket, home string) string {
	return strings.NewReplacer("https://s3proxy.example.com", p.URL, "s3proxy.example.com", p.host(), "example-bucket", bucket,
		"the-clients-access-key", p.AccessKey, "the-clients-secret-key", p.SecretKey, "/etc/ssl/s3proxy-ca.pem", filepath.Join(home, "ca.pem")).Replace(text)
}

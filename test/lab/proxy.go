package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The credentials of the proxy's client, with which tests sign.
const (
	ClientAccessKey = "client-access-key"
	ClientSecretKey = "client+secret/5hQz8Lr2Vt6Yc0Jm4Ks"
)

// ProxyOptions say how to start s3proxy.
type ProxyOptions struct {
	Upstream    *Store   // nil: the embedded store
	UpstreamURL string   // instead of Upstream's own URL
	DataDir     string   // empty: a new one
	Address     string   // to listen on; empty: a free loopback port
	Args        []string // further flags of serve
	Env         []string // further settings, NAME=value
	NoKeys      bool     // no client keys in the environment
}

// ProxyProcess is a running s3proxy.
type ProxyProcess struct {
	*Process
	URL     string
	Address string
	DataDir string
}

// Proxy starts the built s3proxy for one test and waits until it listens.
func Proxy(t testing.TB, o ProxyOptions) *ProxyProcess {
	t.Helper()
	return awaitProxy(t, launch(place{t: t}, o))
}

// SharedProxy starts an s3proxy that lives as long as the package's tests. The caller keeps it for
// the other tests.
func SharedProxy(t testing.TB, o ProxyOptions) *ProxyProcess {
	t.Helper()
	return awaitProxy(t, launch(place{t: t, shared: true}, o))
}

// Launch starts the built s3proxy without waiting, for starts that should fail.
func Launch(t testing.TB, o ProxyOptions) *ProxyProcess {
	t.Helper()
	return launch(place{t: t}, o)
}

func launch(at place, o ProxyOptions) *ProxyProcess {
	at.t.Helper()
	bin := S3proxy(at.t)
	p := &ProxyProcess{Address: o.Address, DataDir: o.DataDir}
	if p.Address == "" {
		p.Address = FreeAddress(at.t)
	}
	if p.DataDir == "" {
		p.DataDir = at.folder("data")
	}
	p.URL = "http://" + p.Address
	args := []string{"serve", "--listen", p.Address, "--admin-listen", "", "--data-dir", p.DataDir}
	env := Env()
	if !o.NoKeys {
		env = append(env, "S3PROXY_ACCESS_KEY_ID="+ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY="+ClientSecretKey)
	}
	if o.Upstream != nil {
		url := o.Upstream.URL
		if o.UpstreamURL != "" {
			url = o.UpstreamURL
		}
		args = append(args, "--upstream", url)
		env = append(env, "AWS_ACCESS_KEY_ID="+o.Upstream.AccessKey, "AWS_SECRET_ACCESS_KEY="+o.Upstream.SecretKey)
	} else if o.UpstreamURL != "" {
		args = append(args, "--upstream", o.UpstreamURL)
		env = append(env, "AWS_ACCESS_KEY_ID="+storeAccessKey, "AWS_SECRET_ACCESS_KEY="+storeSecretKey)
	}
	env = append(env, o.Env...)
	if o.Upstream != nil || o.UpstreamURL != "" {
		args = append(args, ownKeyset(at, bin, p.DataDir, o.Args, env)...)
	}
	p.Process = start(at, "s3proxy", bin, append(args, o.Args...), env)
	return p
}

// ownKeyset makes sure that a proxy without another key has a keyset in the data folder: with an
// upstream, s3proxy needs a named key.
func ownKeyset(at place, bin, dataDir string, args, env []string) []string {
	at.t.Helper()
	if slices.Contains(args, "--kms") {
		return nil
	}
	path := filepath.Join(dataDir, "keyset.json")
	named := []string{"--kms", "localfile://" + path}
	if _, err := os.Stat(path); err == nil {
		return named
	}
	create := exec.Command(bin, append([]string{"keys", "create"}, named...)...)
	create.Env = env
	if out, err := create.CombinedOutput(); err != nil {
		at.t.Fatalf("%v: %s", err, out)
	}
	return named
}

func awaitProxy(t testing.TB, p *ProxyProcess) *ProxyProcess {
	t.Helper()
	p.AwaitListening(t, p.Address)
	p.until(t, AnswerWithin, func() bool { return strings.Contains(p.Log(), "s3proxy listens on ") })
	return p
}

// S3 says where and with which credentials a test speaks S3: to a proxy, or directly to a store.
type S3 struct {
	URL       string
	AccessKey string
	SecretKey string
}

// S3 is the endpoint of the proxy for its client.
func (p *ProxyProcess) S3() S3 {
	return S3{URL: p.URL, AccessKey: ClientAccessKey, SecretKey: ClientSecretKey}
}

// S3 is the store itself, as its operator sees it.
func (s *Store) S3() S3 { return S3{URL: s.URL, AccessKey: s.AccessKey, SecretKey: s.SecretKey} }

// Env is the environment for a foreign client of this endpoint.
func (s S3) Env(set ...string) []string {
	return Env(append([]string{
		"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1",
	}, set...)...)
}

// ProxyAs is the endpoint of the proxy for a client with other credentials.
func ProxyAs(p *ProxyProcess, id, secret string) S3 {
	return S3{URL: p.URL, AccessKey: id, SecretKey: secret}
}

package soak

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// within fails the test if do takes longer than the limit. It returns how long do took.
func within(t *testing.T, limit time.Duration, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > limit {
		t.Errorf("%s: it took %v, want at most %v", what, took, limit)
	}
}

// The connection stays open, but nothing comes through it any more.
func TestAStoreThatFallsSilentIsGivenUp(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	const slack = 4 * time.Second
	store := lab.Versitygw(t)
	way := lab.NetworkTo(t, store.URL)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: way.URL, Args: []string{
		"--upstream-stall-timeout", "2s", "--upstream-answer-timeout", "3s", "--upstream-attempts", "1"}})
	bucket := s3test.NewBucket(t, p.S3())
	path := "/" + bucket + "/k"
	s3test.MustPut(t, p.S3(), path, s3test.Content(1, 20<<20))
	silent := func() {
		for _, direction := range []string{"upstream", "downstream"} {
			way.Toxic(t, "timeout", direction, 1, map[string]int{"timeout": 0})
		}
	}

	way.Toxic(t, "bandwidth", "downstream", 1, map[string]int{"rate": 1000})
	resp, err := s3test.Call{Method: http.MethodGet, Path: path}.Streamed(t, p.S3(), http.DefaultClient, nil, 0)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 200_000); err != nil {
		t.Fatal(err)
	}
	silent()
	within(t, 2*time.Second+slack, "a download", func() {
		if n, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("it ended well after %d bytes more", n)
		}
	})
	resp.Body.Close()
	within(t, 3*time.Second+slack, "a request", func() {
		if a := s3test.Get(t, p.S3(), path); a.Status != 503 {
			t.Error(a)
		}
	})

	way.Heal(t)
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(store.PID(), s); err != nil {
			t.Fatal(err)
		}
	}
	body, writer := io.Pipe()
	go func() {
		_, _ = io.CopyN(writer, s3test.Generator(2), 4<<20)
		signal(syscall.SIGSTOP) // the store no longer accepts anything
		_, _ = io.Copy(writer, s3test.Generator(3))
	}()
	within(t, 2*time.Second+2*slack, "an upload", func() {
		put := s3test.Call{Method: http.MethodPut, Path: path}
		resp, err := put.Streamed(t, p.S3(), &http.Client{Timeout: time.Minute}, body, 1<<30)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				t.Error(resp.Status)
			}
		}
	})
	body.Close()
	signal(syscall.SIGCONT)
	if a := s3test.Get(t, p.S3(), path); a.Status != 200 || s3test.SameBytes(a.Body, s3test.Content(1, 20<<20)) != nil {
		t.Errorf("after it: %v", a)
	}
}

// While a window key is in memory, no request waits for a KMS that takes half a minute.
func TestASlowKMSDelaysOnlyWhatNeedsIt(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	vault := lab.SharedVault(t)
	name := lab.FreeName("slow")
	vault.CreateKey(t, name)
	way := lab.NetworkTo(t, vault.URL)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t),
		Env:  []string{"VAULT_ADDR=" + way.URL, "VAULT_TOKEN=" + vault.RootToken},
		Args: []string{"--kms", "vault://transit/" + name, "--kms-timeout", "3s"}})
	warm, cold := s3test.NewBucket(t, p.S3()), s3test.NewBucket(t, p.S3())
	s3test.MustPut(t, p.S3(), "/"+warm+"/k", s3test.Content(1, 1000))
	way.Toxic(t, "latency", "downstream", 1, map[string]int{"latency": 30_000})
	within(t, 5*time.Second, "200 requests in a warm bucket", func() {
		for i := range 100 {
			s3test.MustPut(t, p.S3(), fmt.Sprintf("/%s/k%d", warm, i), s3test.Content(uint64(i), 1000))
			if a := s3test.Get(t, p.S3(), fmt.Sprintf("/%s/k%d", warm, i)); a.Status != 200 {
				t.Fatal(a)
			}
		}
	})
	put := s3test.Call{Method: http.MethodPut, Path: "/" + cold + "/k", Body: s3test.Content(1, 1000)}
	within(t, 3*time.Second+3*time.Second, "a bucket without a window", func() {
		if a := put.Do(t, p.S3()); a.Status != 503 || a.Code != "SlowDown" || a.Header.Get("Retry-After") == "" {
			t.Error(a)
		}
	})
	way.Heal(t)
	eventually(t, "after it", func() bool { return put.Do(t, p.S3()).Status == 200 })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(lab.AnswerWithin); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": it does not come about")
		}
	}
}

// inNamespace starts a proxy in a mount namespace that a shell script has prepared.
func inNamespace(t *testing.T, script string, env []string, args ...string) (*lab.Process, lab.S3) {
	t.Helper()
	lab.NeedRoot(t)
	address := lab.FreeAddress(t)
	args = append([]string{"--mount", "sh", "-c", script + ` && exec "$@"`, "sh", lab.S3proxy(t), "serve", "--listen", address, "--admin-listen", ""}, args...)
	env = append(lab.Env("S3PROXY_ACCESS_KEY_ID="+lab.ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY="+lab.ClientSecretKey), env...)
	p := lab.Start(t, "s3proxy", lab.Need(t, "unshare"), args, env)
	p.AwaitListening(t, address)
	return p, lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
}

// The disk fills up in the middle of uploads. Existing objects stay, refused ones do not appear,
// and once there is room again everything works.
func TestAFullDiskUnderTheEmbeddedStoreDamagesNothing(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	dir := t.TempDir()
	_, at := inNamespace(t, "mount -t tmpfs -o size=24m tmpfs "+dir, nil, "--data-dir", dir)
	r := &run{t: t, bucket: s3test.NewBucket(t, at)}
	kept := []content{{1, 1000}, {2, 3_000_000}}
	for _, c := range kept {
		s3test.MustPut(t, at, fmt.Sprintf("/%s/kept-%d", r.bucket, c.size), c.bytes())
	}
	refused := map[string]bool{}
	for i := range 12 {
		path := fmt.Sprintf("/%s/new-%d", r.bucket, i)
		a := s3test.Call{Method: http.MethodPut, Path: path, Body: s3test.Content(uint64(i), 4_000_000)}.Do(t, at)
		switch {
		case a.Status == 200:
		case a.Status >= 500 && a.Code != "":
			refused[path] = true
		default:
			t.Errorf("%s: %v", path, a)
		}
	}
	if len(refused) == 0 {
		t.Fatal("the disk was not full")
	}
	s3test.Call{Method: http.MethodPut, Path: "/" + r.bucket + "/kept-3000000", Body: s3test.Content(9, 4_000_000)}.Do(t, at) // refused too
	for _, c := range kept {
		if a := s3test.Get(t, at, fmt.Sprintf("/%s/kept-%d", r.bucket, c.size)); a.Status != 200 || s3test.SameBytes(a.Body, c.bytes()) != nil {
			t.Errorf("the object from before: %v", a)
		}
	}
	for i := range 12 {
		path := fmt.Sprintf("/%s/new-%d", r.bucket, i)
		a := s3test.Get(t, at, path)
		if refused[path] != (a.Status == 404) || !refused[path] && s3test.SameBytes(a.Body, s3test.Content(uint64(i), 4_000_000)) != nil {
			t.Errorf("%s, refused: %v: %v", path, refused[path], a)
		}
		if a := (s3test.Call{Method: http.MethodDelete, Path: path}).Do(t, at); a.Status != 204 {
			t.Errorf("it cannot be deleted: %v", a)
		}
	}
	s3test.MustPut(t, at, "/"+r.bucket+"/after", s3test.Content(5, 4_000_000))
	if a := s3test.Get(t, at, "/"+r.bucket+"/after"); s3test.SameBytes(a.Body, s3test.Content(5, 4_000_000)) != nil {
		t.Errorf("after there was room again: %v", a)
	}
}

// The store's name no longer resolves, and then does again.
func TestAStoreWhoseNameIsGoneComesBack(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	store := lab.SharedVersitygw(t)
	network := lab.NetworkTo(t, store.URL)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(network.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	uri, _ := lab.NewKeyset(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	names := func(line string) {
		if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+line), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names("127.0.0.1 store.test\n")
	p, at := inNamespace(t, "mount --bind "+hosts+" /etc/hosts", []string{"AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + store.SecretKey, "GODEBUG=netdns=go"},
		"--upstream", "http://store.test:"+port, "--kms", uri)
	bucket := s3test.NewBucket(t, at)
	path := "/" + bucket + "/k"
	s3test.MustPut(t, at, path, s3test.Content(1, 1000))
	names("")
	network.Cut(t) // because a connection in use needs no name
	eventually(t, "requests fail", func() bool {
		a := s3test.Get(t, at, path)
		if a.Status != 200 && (a.Status != 503 || a.Code != "ServiceUnavailable") {
			t.Errorf("%v", a)
		}
		return a.Status == 503 && strings.Contains(p.Log(), "no such host")
	})
	names("127.0.0.1 store.test\n")
	eventually(t, "requests succeed again", func() bool { return s3test.Get(t, at, path).Status == 200 })
}

package keys

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// vaultKey makes a key in a Vault for this test alone, with a long-lived token.
func vaultKey(t *testing.T) (v *lab.Vault, o lab.ProxyOptions) {
	t.Helper()
	v = lab.NewVault(t)
	v.CreateKey(t, "photos")
	v.Policy(t, "photos", lab.VaultPolicy(t, "photos", false))
	token := v.Token(t, []string{"photos"}, time.Hour, time.Hour, true)
	return v, lab.ProxyOptions{
		Upstream: lab.SharedMinIO(t),
		Args:     []string{"--kms", "vault://transit/photos"},
		Env:      []string{"VAULT_ADDR=" + v.URL, "VAULT_TOKEN=" + token},
	}
}

// inUse is a bucket that clients constantly write to and read from.
type inUse struct {
	t      *testing.T
	at     lab.S3
	bucket string
	ended  atomic.Bool
	group  sync.WaitGroup

	mu     sync.Mutex
	stored map[string][]byte // acknowledged
	busy   map[string]bool   // refused, perhaps in the middle of a retry
	writes []answered
	reads  []answered
}

// answered is one answer of the proxy.
type answered struct {
	at         time.Time
	took       time.Duration
	status     int
	retry      string
	code, text string
}

func use(t *testing.T, at lab.S3, bucket string) *inUse {
	u := &inUse{t: t, at: at, bucket: bucket, stored: map[string][]byte{}, busy: map[string]bool{}}
	for i := range 3 {
		u.group.Go(func() { u.write(i) })
		u.group.Go(u.read)
	}
	return u
}

func (u *inUse) stop() {
	u.ended.Store(true)
	u.group.Wait()
}

// write puts new objects and overwrites older objects of this writer.
func (u *inUse) write(writer int) {
	for n := 0; !u.ended.Load(); n++ {
		if n%4 == 3 {
			n -= 2 // repeat
		}
		key := fmt.Sprintf("w%d-%05d", writer, n)
		body := []byte(s3test.Marker + key + strconv.Itoa(rand.Int()))
		if rand.IntN(20) == 0 {
			body = bytes.Repeat(body, 20_000) // more than the proxy holds in memory
		}
		u.mu.Lock()
		u.busy[key] = true
		u.mu.Unlock()
		began := time.Now()
		a := (s3test.Call{Method: http.MethodPut, Path: "/" + u.bucket + "/" + key, Body: body}).Do(u.t, u.at)
		u.mu.Lock()
		u.writes = append(u.writes, answered{began, time.Since(began), a.Status, a.Header.Get("Retry-After"), a.Code, a.Text})
		if a.Status == http.StatusOK {
			u.stored[key] = body
			delete(u.busy, key)
		} else if a.Status == http.StatusServiceUnavailable {
			delete(u.busy, key) // refused: the former object is still there
		}
		u.mu.Unlock()
		if n%4 == 2 {
			n += 2
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (u *inUse) read() {
	for !u.ended.Load() {
		time.Sleep(5 * time.Millisecond)
		u.mu.Lock()
		key, found := "", false
		for key = range u.stored {
			if found = !u.busy[key]; found {
				break
			}
		}
		u.mu.Unlock()
		if !found {
			continue
		}
		began := time.Now()
		a := s3test.Get(u.t, u.at, "/"+u.bucket+"/"+key)
		u.mu.Lock()
		u.reads = append(u.reads, answered{began, time.Since(began), a.Status, a.Header.Get("Retry-After"), a.Code, a.Text})
		u.mu.Unlock()
		if a.Status == http.StatusOK && !bytes.HasPrefix(a.Body, []byte(s3test.Marker+key)) {
			u.t.Errorf("GET %s: %d bytes of something else", key, len(a.Body))
		}
	}
}

// check reads everything that was acknowledged through a fresh proxy, and checks that nothing in
// the store is plaintext or undecryptable.
func (u *inUse) check(o lab.ProxyOptions) {
	t := u.t
	t.Helper()
	fresh := lab.Proxy(t, o)
	client := s3test.SDK(t, fresh.S3())
	group, _ := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for key, body := range u.stored {
		group.Go(func() error {
			if a := s3test.Get(t, fresh.S3(), "/"+u.bucket+"/"+key); a.Status != http.StatusOK || !bytes.Equal(a.Body, body) {
				return fmt.Errorf("%s, which was acknowledged with %d bytes: %v", key, len(body), a)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &u.bucket})
	listed := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			listed++
			if u.stored[*o.Key] == nil {
				t.Errorf("%s exists, but was never acknowledged", *o.Key)
			}
		}
	}
	if listed != len(u.stored) {
		t.Errorf("%d objects of %d are listed", listed, len(u.stored))
	}
	out, code := lab.RunKeys(t, o, "verify", "s3://"+u.bucket)
	if code != 0 || !strings.Contains(out, " 0 objects not encrypted, 0 bad") {
		t.Errorf("keys verify: exit code %d: %s", code, out)
	}
}

// If Vault is away for less than a window, nobody notices.
func TestNobodyNoticesThatVaultIsAwayWithinAWindow(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	window, away := 20*time.Second, 8*time.Second
	if lab.Long {
		window, away = 5*time.Minute, 2*time.Minute
	}
	v, o := vaultKey(t)
	o.Args = append(o.Args, "--key-window", window.String())
	p := lab.Proxy(t, o)
	u := use(t, p.S3(), s3test.NewBucket(t, p.S3()))
	time.Sleep(2 * time.Second)
	v.Stop()
	time.Sleep(away)
	v.Restart(t)
	time.Sleep(2 * time.Second)
	u.stop()
	for what, all := range map[string][]answered{"a write": u.writes, "a read": u.reads} {
		for _, a := range all {
			if a.status != http.StatusOK {
				t.Errorf("%s: status %d: %s", what, a.status, a.text)
			}
		}
	}
	u.check(o)
	t.Logf("%d writes and %d reads, with Vault away for %v", len(u.writes), len(u.reads), away)
}

// If Vault is away for longer, writes are refused with 503, and existing objects remain readable.
// When Vault is back, writes succeed again.
func TestAVaultOutageBeyondTheWindowRefusesWritesUntilItIsOver(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	window, away := 3*time.Second, 10*time.Second
	if lab.Long {
		window, away = 10*time.Second, 2*time.Minute
	}
	v, o := vaultKey(t)
	o.Args = append(o.Args, "--key-window", window.String())
	p := lab.Proxy(t, o)
	u := use(t, p.S3(), s3test.NewBucket(t, p.S3()))
	time.Sleep(2 * time.Second)
	v.Stop()
	stopped := time.Now()
	time.Sleep(away)
	v.Restart(t)
	back := time.Now()
	time.Sleep(8 * time.Second)
	u.stop()
	refused, first, well := 0, time.Time{}, time.Time{}
	var slowest time.Duration
	for _, a := range u.writes {
		switch {
		case a.status == http.StatusOK:
			if done := a.at.Add(a.took); done.After(back) && (well.IsZero() || done.Before(well)) {
				well = done
			}
			if a.at.After(stopped.Add(window+time.Second)) && a.at.Add(a.took).Before(back) {
				t.Errorf("a write %v after Vault was stopped succeeded, with a window of %v", a.at.Sub(stopped), window)
			}
		case a.status != http.StatusServiceUnavailable || a.retry == "" || a.code != "SlowDown":
			t.Errorf("a write: status %d, Retry-After %q: %s %s", a.status, a.retry, a.code, a.text)
		default:
			refused++
			slowest = max(slowest, a.took)
			if first.IsZero() || a.at.Before(first) {
				first = a.at
			}
			if a.at.After(back.Add(6 * time.Second)) {
				t.Errorf("still refused %v after Vault was back", a.at.Sub(back))
			}
			if strings.Contains(strings.ToLower(a.text), "vault") || strings.Contains(a.text, "transit") {
				t.Errorf("the answer to the client mentions the KMS: %s", a.text)
			}
		}
	}
	for _, a := range u.reads {
		if a.status != http.StatusOK {
			t.Errorf("a read: status %d: %s", a.status, a.text)
		}
	}
	if refused == 0 || well.IsZero() {
		t.Fatalf("%d writes were refused; well again: %v", refused, well)
	}
	if !strings.Contains(p.Log(), "connection refused") {
		t.Errorf("the log does not say why:\n%s", p.Log())
	}
	t.Logf("%d writes refused, the first %v after the outage began, the slowest after %v; the first success %v after its end; %d reads went on", refused, first.Sub(stopped), slowest, well.Sub(back), len(u.reads))
	u.check(o)
}

// recorder is a Vault behind a reverse proxy that counts requests.
type recorder struct {
	*httptest.Server
	mu      sync.Mutex
	calls   map[string]int // by operation
	secrets map[string]string
}

func record(t *testing.T, to string) *recorder {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{calls: map[string]int{}, secrets: map[string]string{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // part of signatures
		},
		ModifyResponse: r.keepAnswer,
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.keepRequest(req)
		forward.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

// A window costs one KMS call for each bucket, however many objects it has.
func TestAWindowCostsOneCallOfTheKMSForEachBucket(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	objects := 2000
	if lab.Long {
		objects = 20_000
	}
	v, o := vaultKey(t)
	kms := record(t, v.URL)
	o.Env[0] = "VAULT_ADDR=" + kms.URL
	p := lab.Proxy(t, o)
	client := s3test.SDK(t, p.S3())
	var buckets []string
	for range 4 {
		buckets = append(buckets, s3test.NewBucket(t, p.S3()))
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i := range objects {
		group.Go(func() error {
			key := fmt.Sprint(i)
			_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &buckets[i%4], Key: &key, Body: strings.NewReader(key)})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	kms.mu.Lock()
	defer kms.mu.Unlock()
	const looks = 1 // at the start, to check that the KMS works
	if kms.calls["encrypt"] > 4+looks || kms.calls["encrypt"] <= looks || kms.calls["decrypt"] > looks {
		t.Errorf("%d PUTs cost %v", objects, kms.calls)
	}
	t.Logf("%d PUTs into 4 buckets: %v", objects, kms.calls)
}

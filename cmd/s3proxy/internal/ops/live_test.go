package ops

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// live is a bucket in a real store, with a proxy before it.
type live struct {
	t      *testing.T
	name   string
	store  *upstream.Client
	client *upstream.Client // of the proxy
	keyset string
	ring   *kms.Keyring // the proxy's
	window time.Duration
	// plaintext and passthrough are settings of the bucket.
	plaintext, passthrough bool
}

func newLive(t *testing.T, window time.Duration) *live {
	t.Helper()
	server := lab.SharedVersitygw(t)
	l := &live{t: t, window: window, keyset: filepath.Join(t.TempDir(), "keyset.json"), name: "ops-" + strings.ToLower(rand.Text()[:12])}
	l.store = l.dial(server.URL, server.AccessKey, server.SecretKey)
	if err := localfile.Create(l.keyset); err != nil {
		t.Fatal(err)
	}
	l.send(l.store, &upstream.Request{Method: http.MethodPut})
	l.serve()
	return l
}

func (l *live) dial(address, id, secret string) *upstream.Client {
	l.t.Helper()
	endpoint, err := url.Parse(address)
	if err != nil {
		l.t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{
		Endpoint: endpoint, Region: "us-east-1", Payload: upstream.PayloadChecked, Attempts: 3,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return client
}

// serve begins a new proxy, which has read the key file as it is now.
func (l *live) serve() {
	l.t.Helper()
	b, err := l.Open(l.t.Context(), l.name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.ring = b.Keyring
	server := httptest.NewServer(proxy.New(proxy.Config{
		Default: b.Served, Region: "us-east-1", Log: slog.New(slog.DiscardHandler),
		Credential: func(string) (proxy.Credential, bool) { return proxy.Credential{Secret: "secret", Manage: true}, true },
	}))
	l.t.Cleanup(server.Close)
	l.client = l.dial(server.URL, "id", "secret")
}

// send sends a request about the bucket, or fails the test, and gives the answer's body.
func (l *live) send(to *upstream.Client, r *upstream.Request) (http.Header, []byte) {
	l.t.Helper()
	var err error
	if r.Bucket, err = s3name.ParseBucket(l.name); err != nil {
		l.t.Fatal(err)
	}
	resp, err := to.Do(l.t.Context(), r)
	if err != nil {
		l.t.Fatalf("%s %v: %v", r.Method, r.Key, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.Header, body
}

func keyOf(t *testing.T, key string) s3name.Key {
	t.Helper()
	k, err := s3name.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (l *live) put(to *upstream.Client, key, body string, header http.Header) {
	l.t.Helper()
	l.send(to, &upstream.Request{Method: http.MethodPut, Key: keyOf(l.t, key), Bytes: []byte(body), Header: header})
}

func (l *live) get(from *upstream.Client, key string) (http.Header, string) {
	l.t.Helper()
	header, body := l.send(from, &upstream.Request{Method: http.MethodGet, Key: keyOf(l.t, key)})
	return header, string(body)
}

// metadata are the headers that carry what the proxy needs of an object.
func metadata(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			kept[name] = values
		}
	}
	return kept
}

// Open implements Buckets, as the others do: every bucket has the key file's key.
func (l *live) Open(_ context.Context, bucket string) (*Bucket, error) {
	key, err := localfile.Open(l.keyset)
	if err != nil {
		return nil, err
	}
	records := state.Records{Store: l.store}
	ring, err := kms.NewKeyring(kms.Config{Write: key, Records: records, Floors: records, Window: l.window, WindowObjects: 1000, CacheSize: 10, CacheTTL: time.Minute})
	served := object.Settings{Upstream: l.store, Keyring: ring, AllowPlaintextReads: l.plaintext, Plain: l.passthrough}
	return &Bucket{Name: bucket, Origin: bucket, Served: served, Keyring: ring, Records: records}, err
}

func (l *live) Records(_ context.Context, bucket string) (state.Records, string, error) {
	return state.Records{Store: l.store}, bucket, nil
}

func (l *live) WriteKey(context.Context, string) (kms.Key, string, error) {
	key, err := localfile.Open(l.keyset)
	return key, l.keyset, err
}

func (l *live) NamedKEK(ctx context.Context, _, name string) (string, bool, error) {
	key, err := localfile.Open(l.keyset)
	if err != nil || name == key.URI() {
		return name, true, err
	}
	kek, err := key.Named(ctx, name)
	if errors.Is(err, kms.ErrInvalid) {
		return name, false, nil
	}
	return kek, true, err
}

func (l *live) job() Job {
	return Job{Buckets: l, Rate: Rate{Concurrency: 4}, Progress: &counted{}, Log: slog.New(slog.DiscardHandler)}
}

// rotate makes a new version of the key, and gives the KEK of the one before.
func (l *live) rotate() (before string) {
	l.t.Helper()
	b, err := l.Open(l.t.Context(), l.name)
	if err != nil {
		l.t.Fatal(err)
	}
	old, err := b.Keyring.NewRewrapping(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	made := ""
	if err := NewVersions(l.t.Context(), l, []string{l.name, l.name}, func(kek string) { made += kek }); err != nil || strings.Count(made, "#") != 1 {
		l.t.Fatalf("new version %q: %v", made, err)
	}
	return old.KEK()
}

// must runs one plan, and fails the test for any error or failure.
func must[R Report](l *live, plan Plan[R]) R {
	l.t.Helper()
	found, err := plan.Run(l.t.Context())
	if err != nil {
		l.t.Fatalf("%v: %v", plan, err)
	}
	if failures := found.Failures(); failures != nil {
		l.t.Fatalf("%v: %v", plan, failures)
	}
	return found
}

func (l *live) mayGo(kek string) (bool, string) {
	l.t.Helper()
	found, err := (&Status{Job: l.job(), Bucket: l.name, Objects: true, KEKs: []string{kek[strings.Index(kek, "#")+1:]}}).Run(l.t.Context())
	if err != nil || len(found.Keys) != 1 || (len(found.Failures()) == 0) != found.Keys[0].MayDestroy {
		l.t.Fatalf("%+v, %v", found, err)
	}
	return found.Keys[0].MayDestroy, found.Keys[0].Why
}

func (l *live) rotation(o Rotate) Plan[*Rotated] {
	l.t.Helper()
	dry := o.DryRun
	o.Job = l.job()
	o.DryRun = dry
	plans, err := PlanRotations(l.t.Context(), o, []Target{{Bucket: l.name}})
	if err != nil {
		l.t.Fatal(err)
	}
	return plans[0]
}

// counted is a progress that somebody looks at.
type counted struct{ walks, total int }

func (c *counted) Watched() bool             { return true }
func (c *counted) Start(total int, _ string) { c.walks++; c.total += total }
func (c *counted) Add()                      {}
func (c *counted) Finish()                   {}

func TestARotatedVersionMayGoAndNothingIsLost(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	for i := range 3 {
		l.put(l.client, fmt.Sprintf("key %d", i), "content", nil)
	}
	old := l.rotate()
	if may, why := l.mayGo(old); may {
		t.Errorf("before the rotation: %s", why)
	}
	if found := must(l, l.rotation(Rotate{Job: Job{DryRun: true}})); found.Rewrapped != 1 || found.Records != 1 {
		t.Errorf("dry run: %+v", found)
	}
	if may, why := l.mayGo(old); may {
		t.Errorf("after a dry run: %s", why)
	}
	if found := must(l, l.rotation(Rotate{})); found.Rewrapped != 1 || found.Records != 1 || found.Current != 0 {
		t.Errorf("rotated: %+v", found)
	}
	if may, why := l.mayGo(old); !may {
		t.Errorf("after the rotation: %s", why)
	}
	if err := localfile.Destroy(t.Context(), l.keyset, old[strings.Index(old, "#")+1:]); err != nil {
		t.Fatal(err)
	}
	if found := must(l, &Verify{Job: l.job(), Target: Target{Bucket: l.name}, Versions: true, Sample: 1}); found.Objects != 3 || found.Records != 1 || found.Bytes != 3*7 {
		t.Errorf("verified: %+v", found)
	}
}

func TestObjectsOfWindowZeroAreRenewedBeforeTheirVersionMayGo(t *testing.T) {
	t.Parallel()
	l := newLive(t, 0)
	l.put(l.client, "below/one", "content", nil)
	l.put(l.client, "two", "content", nil)
	old := l.rotate()
	must(l, l.rotation(Rotate{}))
	if may, why := l.mayGo(old); may || !strings.HasPrefix(why, "2 objects of window 0") {
		t.Errorf("before: %v %q", may, why)
	}
	if found := must(l, l.rotation(Rotate{Objects: true, Job: Job{DryRun: true}})); found.Objects.Rewritten.Rewritten != 2 {
		t.Errorf("dry run: %+v", found.Objects.Rewritten)
	}
	if found := must(l, l.rotation(Rotate{Objects: true})); found.Objects.Rewritten.Rewritten != 2 || found.Objects.Done != 0 {
		t.Errorf("renewed: %+v", found.Objects.Rewritten)
	}
	if may, why := l.mayGo(old); !may {
		t.Errorf("after: %s", why)
	}
}

func TestWhatNoKeyIsCalledIsAMistake(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	var mistake Mistake
	if _, err := PlanRotations(t.Context(), Rotate{Job: l.job(), From: "another:key#1"}, []Target{{Bucket: l.name}}); !errors.As(err, &mistake) {
		t.Errorf("from: %v", err)
	}
	if _, err := (&Status{Job: l.job(), Bucket: l.name, KEKs: []string{"localfile:"}}).Run(t.Context()); !errors.As(err, &mistake) {
		t.Errorf("kek: %v", err)
	}
	if _, err := PlanRekeys(t.Context(), Rekey{Job: l.job(), Stolen: []string{"another:key#1"}}, []string{l.name}); err == nil || !strings.Contains(err.Error(), "stolen") {
		t.Errorf("stolen: %v", err)
	}
	if _, err := PlanRotations(t.Context(), Rotate{Job: l.job()}, []Target{{Bucket: l.name + "-not-there"}}); err == nil {
		t.Error("a bucket that is not there was planned")
	}
}

func TestVerifyNamesWhatIsDamagedAndWhatIsNotEncrypted(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	for _, key := range []string{"good", "damaged"} {
		l.put(l.client, key, "content", nil)
	}
	header, raw := l.get(l.store, "damaged")
	l.put(l.store, "damaged", "X"+raw[1:], metadata(header))
	l.put(l.store, "plain", "content", nil)
	verify := &Verify{Job: l.job(), Target: Target{Bucket: l.name}, Sample: 1}
	found, err := verify.Run(t.Context())
	if err != nil || found.Objects != 3 || found.Plain != 1 || len(found.Bad) != 2 || found.Bad[`"damaged"`] == "" || found.Bad[`"plain"`] == "" || len(found.Failures()) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	l.plaintext = true
	if found, err := verify.Run(t.Context()); err != nil || len(found.Bad) != 1 || found.Plain != 1 {
		t.Errorf("with plaintext reads: %+v, %v", found, err)
	}
	verify.Prefix = "go"
	if found := must(l, verify); found.Objects != 1 || found.Records != 0 {
		t.Errorf("below a prefix: %+v", found)
	}
	l.passthrough = true
	if _, err := verify.Run(t.Context()); err == nil {
		t.Error("a bucket without encryption was verified")
	}
}

func TestWhatIsNotEncryptedIsEncryptedInPlace(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "encrypted", "content", nil)
	l.put(l.store, "plain", "content", nil)
	l.put(l.store, "folder/", "", nil)
	encrypt := &EncryptExisting{Job: l.job(), Target: Target{Bucket: l.name}}
	encrypt.DryRun = true
	if found := must(l, encrypt); found.Rewritten.Rewritten != 2 || found.Rewritten.Done != 1 || found.Done {
		t.Errorf("dry run: %+v", found)
	}
	encrypt.DryRun = false
	if found := must(l, encrypt); found.Rewritten.Rewritten != 2 || !found.Done {
		t.Errorf("encrypted: %+v %+v", found, found.Rewritten)
	}
	if _, raw := l.get(l.store, "plain"); strings.Contains(raw, "content") {
		t.Error("the store has plaintext still")
	}
	if _, body := l.get(l.client, "plain"); body != "content" {
		t.Errorf("it reads as %q", body)
	}
	if found := must(l, &Verify{Job: l.job(), Target: Target{Bucket: l.name}, Sample: 1}); found.Objects != 3 {
		t.Errorf("verified: %+v", found)
	}
	l.passthrough = true
	if _, err := encrypt.Run(t.Context()); err == nil {
		t.Error("a bucket without encryption was encrypted")
	}
}

func TestOnlyRecordsThatNothingNamesAreSwept(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "stays", "content", nil)
	l.serve() // of another window
	l.put(l.client, "goes", "content", nil)
	l.send(l.store, &upstream.Request{Method: http.MethodDelete, Key: keyOf(t, "goes")})
	sweep := &SweepRecords{Job: l.job(), Bucket: l.name, Grace: time.Hour}
	if found := must(l, sweep); found.Records != 2 || found.Named != 1 || found.Young != 1 || found.Removed != 0 {
		t.Errorf("within the grace: %+v", found)
	}
	sweep.Grace, sweep.DryRun = 0, true
	time.Sleep(1100 * time.Millisecond) // the store's dates have seconds
	if found := must(l, sweep); found.Removed != 1 {
		t.Errorf("dry run: %+v", found)
	}
	sweep.DryRun = false
	if found := must(l, sweep); found.Records != 2 || found.Named != 1 || found.Removed != 1 {
		t.Errorf("swept: %+v", found)
	}
	if found := must(l, sweep); found.Records != 1 || found.Named != 1 || found.Removed != 0 {
		t.Errorf("again: %+v", found)
	}
}

func TestOneObjectThatCannotBeReadKeepsAllRecords(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "goes", "content", nil)
	l.put(l.client, "odd", "content", nil)
	header, raw := l.get(l.store, "odd")
	l.send(l.store, &upstream.Request{Method: http.MethodDelete, Key: keyOf(t, "goes")})
	odd := metadata(header)
	for name := range odd {
		if strings.Contains(strings.ToLower(name), "format") {
			odd.Set(name, "99")
		}
	}
	l.put(l.store, "odd", raw, odd)
	time.Sleep(1100 * time.Millisecond)
	found, err := (&SweepRecords{Job: l.job(), Bucket: l.name}).Run(t.Context())
	if err != nil || len(found.Unreadable) != 1 || found.Removed != 0 || len(found.Failures()) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	status, err := (&Status{Job: l.job(), Bucket: l.name, Objects: true}).Run(t.Context())
	if err != nil || len(status.Unreadable) != 1 || len(status.Failures()) != 1 {
		t.Errorf("%+v, %v", status, err)
	}
}

func TestTheStateOfAnUploadThatIsGoneIsSwept(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	begin := func(key string) s3name.UploadID {
		_, body := l.send(l.client, &upstream.Request{Method: http.MethodPost, Key: keyOf(t, key), Query: url.Values{"uploads": {""}}})
		_, rest, _ := bytes.Cut(body, []byte("<UploadId>"))
		id, _, _ := bytes.Cut(rest, []byte("<"))
		parsed, err := s3name.ParseUploadID(string(id))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	begin("live")
	gone := begin("gone")
	l.send(l.store, &upstream.Request{Method: http.MethodDelete, Key: keyOf(t, "gone"), UploadID: gone})
	sweep := &SweepUploads{Job: l.job(), Bucket: l.name}
	sweep.DryRun = true
	if found := must(l, sweep); found.Removed != 1 || found.Live != 1 {
		t.Errorf("dry run: %+v", found)
	}
	sweep.DryRun = false
	if found := must(l, sweep); found.Removed != 1 || found.Live != 1 {
		t.Errorf("swept: %+v", found)
	}
	if found := must(l, sweep); found.Removed != 0 || found.Live != 1 {
		t.Errorf("again: %+v", found)
	}
	if _, err := (&SweepUploads{Job: l.job(), Bucket: l.name + "-not-there"}).Run(t.Context()); err == nil {
		t.Error("a bucket that is not there was swept")
	}
}

func TestAfterARekeyTheOldKeyOpensNothing(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "one", "content", nil)
	l.put(l.client, "two", "content", nil)
	stolen, raw := l.get(l.store, "one")
	job := l.job()
	job.DryRun = true
	plans, err := PlanRekeys(t.Context(), Rekey{Job: job}, []string{l.name})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := plans[0].Run(t.Context()); err != nil || found.Rewritten.Rewritten != 2 || found.Closed {
		t.Errorf("dry run: %+v, %v", found, err)
	}
	opened := ""
	plans, err = PlanRekeys(t.Context(), Rekey{Job: l.job(), NewVersion: true, Opened: func(_, floor string) { opened = floor }}, []string{l.name})
	if err != nil {
		t.Fatal(err)
	}
	l.rotate()
	time.Sleep(1100 * time.Millisecond) // a key file is read again after a second
	found := must(l, plans[0])
	if found.Rewritten.Rewritten != 2 || !found.Closed || found.Floor != opened || found.Records != 1 {
		t.Errorf("rekeyed: %+v %+v", found, found.Rewritten)
	}
	l.serve()
	if _, body := l.get(l.client, "two"); body != "content" {
		t.Errorf("it reads as %q", body)
	}
	l.put(l.store, "one", raw, metadata(stolen))
	verified, err := (&Verify{Job: l.job(), Target: Target{Bucket: l.name}, Sample: 1}).Run(t.Context())
	if err != nil || len(verified.Bad) != 1 || verified.Bad[`"one"`] == "" {
		t.Errorf("%+v, %v", verified, err)
	}
}

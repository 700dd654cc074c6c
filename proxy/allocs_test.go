package proxy

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

const (
	// keptAllocations has the figures, by operation.
	keptAllocations = "testdata/allocations.json"
	// keepAllocationsEnv writes them anew.
	keepAllocationsEnv = "S3PROXY_TEST_KEEP_ALLOCATIONS"
	// allocationSlack is how far from its figure an operation may be, as a share of it.
	allocationSlack = 0.10
)

// Time depends on the machine and on what else it does; how often an operation allocates does not.
// The counts include those of the store in memory, which are the same each time.
func TestOperationsAllocateAsOftenAsTheyDid(t *testing.T) {
	if raceDetector() {
		t.Skip("the race detector allocates by itself")
	}
	got := map[string]float64{}
	for name, operation := range allocatingOperations(t) {
		got[name] = leastAllocations(operation)
	}
	if os.Getenv(keepAllocationsEnv) == "1" {
		out, err := json.MarshalIndent(got, "", "  ")
		if err == nil {
			err = os.WriteFile(keptAllocations, append(out, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var kept map[string]float64
	raw, err := os.ReadFile(keptAllocations)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range kept {
		if _, measured := got[name]; !measured {
			t.Errorf("%s has a figure in %s and is not measured", name, keptAllocations)
		} else if math.Abs(got[name]-want) > allocationSlack*want {
			t.Errorf("%s: %.0f allocations, %s says %.0f. If this is meant: %s=1 go test ./proxy -run %s", name, got[name], keptAllocations, want, keepAllocationsEnv, t.Name())
		}
	}
	for name := range got {
		if _, known := kept[name]; !known {
			t.Errorf("%s has no figure in %s", name, keptAllocations)
		}
	}
}

func BenchmarkOperations(b *testing.B) {
	for name, operation := range allocatingOperations(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				operation()
			}
		})
	}
}

// leastAllocations is the least of several means: what other goroutines allocate by the way only
// adds. While nothing is collected, each sync.Pool keeps what it has.
func leastAllocations(operation func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	least := math.Inf(1)
	for range 5 {
		runtime.GC()
		least = min(least, testing.AllocsPerRun(10, operation))
	}
	return least
}

// raceDetector tells whether this program was built with -race.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func allocatingOperations(t testing.TB) map[string]func() {
	t.Helper()
	handler := proxyWithoutNetwork(t)
	small := bytes.Repeat([]byte("x"), 4<<10)
	put := againAndAgain(t, handler, http.MethodPut, "/bucket/small", small)
	put() // what is read
	dek := must(envelope.NewDEK())
	segment := bytes.Repeat([]byte("x"), 64<<10)
	seal := func() io.ReadCloser { return dek.SealObject(int64(len(segment)), bytes.NewReader(segment), nil) }
	sealed := must(io.ReadAll(seal()))
	buffer := make([]byte, len(sealed))
	return map[string]func(){
		"PUT of 4 KiB":  put,
		"GET of 4 KiB":  againAndAgain(t, handler, http.MethodGet, "/bucket/small", nil),
		"LIST of 1,000": againAndAgain(t, handler, http.MethodGet, "/bucket?list-type=2", nil),
		"seal a segment": func() {
			s := seal()
			if n, err := io.ReadFull(s, buffer); n != len(sealed) || err != nil {
				panic(fmt.Sprint(n, err))
			}
			s.Close()
		},
		"open a segment": func() {
			o := dek.OpenObject(envelope.KindSingle, envelope.SingleLayout(int64(len(segment))), int64(len(sealed)), nil, bytes.NewReader(sealed))
			if n, err := io.Copy(io.Discard, o); n != int64(len(segment)) || err != nil {
				panic(fmt.Sprint(n, err))
			}
			o.Close()
		},
	}
}

// againAndAgain gives a function that has a request served, which is signed once.
func againAndAgain(t testing.TB, h http.Handler, method, path string, body []byte) func() {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://proxy.test"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	creds := aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}
	if err := sigv4.NewSigner("us-east-1").Sign(context.Background(), r, creds, sigv4.UnsignedPayload, time.Now()); err != nil {
		t.Fatal(err)
	}
	r.RequestURI = path
	var content bytes.Reader
	sent, answer := io.NopCloser(&content), &countingAnswer{}
	return func() {
		content.Reset(body)
		r.Body = sent
		*answer = countingAnswer{header: http.Header{}}
		h.ServeHTTP(answer, r)
		if answer.status >= 300 || method == http.MethodGet && answer.bytes == 0 {
			panic(fmt.Sprintf("%s %s: %d with %d bytes", method, path, answer.status, answer.bytes))
		}
	}
}

// countingAnswer takes an answer and keeps nothing of its body.
type countingAnswer struct {
	header        http.Header
	status, bytes int
}

func (a *countingAnswer) Header() http.Header         { return a.header }
func (a *countingAnswer) WriteHeader(status int)      { a.status = status }
func (a *countingAnswer) Write(p []byte) (int, error) { a.bytes += len(p); return len(p), nil }

// proxyWithoutNetwork is a proxy whose store is in this process's memory.
func proxyWithoutNetwork(t testing.TB) http.Handler {
	t.Helper()
	store := &storeInMemory{objects: map[string]fakeObject{}, list: listedPage(1000)}
	client := must(upstream.New(upstream.Config{
		Endpoint: &url.URL{Scheme: "http", Host: "store.test"}, Region: "us-east-1", Payload: upstream.PayloadUnsigned,
		Credentials: credentials.NewStaticCredentialsProvider("UPKEY", "UPSECRET", ""),
		Wrap:        func(http.RoundTripper) http.RoundTripper { return store },
	}))
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(keyset); err != nil {
		t.Fatal(err)
	}
	keyring := must(kms.NewKeyring(kms.Config{Write: must(localfile.Open(keyset)), Records: state.Records{Store: client}, Window: time.Hour, WindowObjects: 100_000, CacheSize: 10, CacheTTL: time.Hour}))
	return New(Config{
		Default: object.Settings{Upstream: client, Keyring: keyring}, Region: "us-east-1", Log: slog.New(slog.DiscardHandler),
		Credential: func(id string) (Credential, bool) { return Credential{Secret: "secret"}, id == "client" },
	})
}

func listedPage(n int) []byte {
	b := []byte("<ListBucketResult><Name>bucket</Name><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>")
	for i := range n {
		b = fmt.Appendf(b, `<Contents><Key>folder/object-%06d</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"%032x"</ETag><Size>5000</Size><StorageClass>STANDARD</StorageClass></Contents>`, i, i)
	}
	return append(b, "</ListBucketResult>"...)
}

// storeInMemory keeps objects, and knows one list.
type storeInMemory struct {
	mu      sync.Mutex
	objects map[string]fakeObject
	list    []byte
}

func (s *storeInMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	answer := func(status int, header http.Header, body []byte) (*http.Response, error) {
		return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
	}
	kept, found := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodPut:
		kept = fakeObject{http.Header{"Etag": {fmt.Sprintf(`"%x"`, md5.Sum(sent))}}, sent}
		for name, values := range r.Header {
			if name = http.CanonicalHeaderKey(name); strings.HasPrefix(name, "X-Amz-Meta-") { // the proxy's own are in lower case
				kept.header[name] = values
			}
		}
		s.objects[r.URL.Path] = kept
		return answer(http.StatusOK, kept.header, nil)
	case r.URL.Query().Has("list-type"):
		return answer(http.StatusOK, http.Header{}, s.list)
	case !found:
		return answer(http.StatusNotFound, http.Header{}, nil)
	default:
		return answer(http.StatusOK, kept.header.Clone(), kept.body)
	}
}

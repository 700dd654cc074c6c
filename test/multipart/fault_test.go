package multipart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// faultyStore stands in front of a real store and triggers a fault at one request of a proxy: it
// cuts the connection before the store sees the request, cuts it after the store has carried it
// out, or does whatever else a test wants to happen between two requests.
type faultyStore struct {
	*httptest.Server
	mu     sync.Mutex
	armed  bool
	left   int // requests until the fault
	hit    string
	before func() (goOn bool)
	after  func() (goOn bool)
}

func newFaultyStore(t *testing.T, store *lab.Store) *faultyStore {
	f := &faultyStore{}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 32}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		var before, after func() bool
		if f.armed {
			if f.left--; f.left == 0 {
				f.armed, f.hit = false, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery
				before, after = f.before, f.after
			}
		}
		f.mu.Unlock()
		if before != nil && !before() {
			panic(http.ErrAbortHandler)
		}
		resp, err := store.Forward(transport, r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		if after != nil {
			body, _ := io.ReadAll(resp.Body)
			if !after() {
				panic(http.ErrAbortHandler)
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
		}
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	f.Config.ErrorLog = nil
	t.Cleanup(func() { transport.CloseIdleConnections(); f.CloseClientConnections(); f.Close() })
	return f
}

// arm makes the n-th request from now meet the fault.
func (f *faultyStore) arm(n int, before, after func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.left, f.hit, f.before, f.after = true, n, "", before, after
}

// disarm names the request that met the fault; "" if none did.
func (f *faultyStore) disarm() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.hit
}

// fault is a way for a request to fail.
type fault string

const (
	cutBefore fault = "cut before"
	cutAfter  fault = "cut after"
	killAfter fault = "killed after"
)

// crashes is the setup of a test of faults.
type crashes struct {
	t      *testing.T
	store  *lab.Store
	faulty *faultyStore
	dir    string // of the keys
	proxy  *lab.ProxyProcess
	steady *s3.Client // of another replica, directly in front of the store
	bucket string
}

func newCrashes(t *testing.T, name string) *crashes {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy to fail")
	}
	store := lab.SharedStore(t, name)
	steady := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
	c := &crashes{t: t, store: store, faulty: newFaultyStore(t, store), dir: steady.DataDir, steady: s3test.SDK(t, steady.S3())}
	c.bucket = s3test.NewBucket(t, steady.S3())
	c.restart()
	return c
}

func (c *crashes) restart() {
	c.t.Helper()
	c.proxy = lab.Proxy(c.t, lab.ProxyOptions{Upstream: c.store, UpstreamURL: c.faulty.URL, DataDir: c.dir})
}

// strike calls do while the n-th request of the proxy meets a fault. hit is empty if there was no
// n-th request.
func (c *crashes) strike(f fault, n int, do func(*s3.Client) error) (hit string, err error) {
	c.t.Helper()
	end := func() bool { return false }
	proxy := c.proxy
	switch f {
	case cutBefore:
		c.faulty.arm(n, end, nil)
	case cutAfter:
		c.faulty.arm(n, nil, end)
	case killAfter:
		c.faulty.arm(n, nil, func() bool { proxy.Kill(); return false })
	}
	err = do(s3test.Once(c.t, c.proxy.S3()))
	hit = c.faulty.disarm()
	if f == killAfter && hit != "" {
		c.restart()
	}
	return hit, err
}

func (c *crashes) get(key string) []byte {
	c.t.Helper()
	out, err := c.steady.GetObject(c.t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		c.t.Fatalf("GetObject: %v", err)
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		c.t.Fatalf("GetObject: %v", err)
	}
	return got
}

func (c *crashes) put(key string, body []byte) {
	c.t.Helper()
	if _, err := c.steady.PutObject(c.t.Context(), &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		c.t.Fatal(err)
	}
}

// sweptClean runs gc and checks that no state of uploads is left.
func (c *crashes) sweptClean() {
	c.t.Helper()
	out, code := lab.Command(c.t, c.store, "gc", "s3://"+c.bucket, "--grace", "0s", "--upstream", c.store.URL)
	if left := uploadState(c.t, c.store, c.bucket); code != 0 || len(left) > 0 {
		c.t.Errorf("gc: exit code %d, %s\nstate left behind: %v", code, out, left)
	}
}

type shape struct {
	name   string
	number int32 // of the last part
	last   int
}

func faultShapes() []shape {
	shapes := []shape{{"a small last part", 2, 100}, {"part 10,000", 10000, 200}}
	if lab.Long {
		shapes = append(shapes, shape{"large parts", 2, 5 * s3test.MiB}, shape{"part 9,999", 9999, 5 * s3test.MiB})
	}
	return shapes
}

// begin creates an upload over an existing object and sends its parts.
func (c *crashes) begin(key string, s shape) (m *s3test.Upload, list []types.CompletedPart, old, made []byte) {
	c.t.Helper()
	a, b := s3test.Content(1, 5*s3test.MiB), s3test.Content(2, s.last)
	old = s3test.Content(3, 77)
	c.put(key, old)
	client := s3test.SDK(c.t, c.proxy.S3())
	m = s3test.Begin(c.t, client, c.bucket, key)
	list = []types.CompletedPart{m.Send(client, 1, a), m.Send(client, s.number, b)}
	return m, list, old, bytes.Join([][]byte{a, b}, nil)
}

func TestAFaultAtAnyStepOfCompleteLeavesTheOldObjectOrTheNewOne(t *testing.T) {
	lab.TakesLong(t)
	for _, name := range lab.RealStores {
		for _, s := range faultShapes() {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				c := newCrashes(t, name)
				for _, f := range []fault{cutBefore, cutAfter, killAfter} {
					for n := 1; ; n++ {
						key := fmt.Sprintf("%s %d", f, n)
						m, list, old, made := c.begin(key, s)
						hit, err := c.strike(f, n, func(client *s3.Client) error { _, err := m.Complete(client, list...); return err })
						got := c.get(key)
						if !bytes.Equal(got, made) && (!bytes.Equal(got, old) || err == nil) {
							t.Fatalf("%s at %s: Complete returned %v, and the object has %d bytes", f, hit, err, len(got))
						}
						again, err := m.Complete(c.steady, list...)
						if err != nil {
							t.Fatalf("%s at %s: a repeated Complete: %v", f, hit, err)
						}
						head, err := c.steady.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &c.bucket, Key: &key})
						if err != nil || aws.ToString(head.ETag) != aws.ToString(again.ETag) || !bytes.Equal(c.get(key), made) {
							t.Fatalf("%s at %s: after a repeated Complete (%s): HEAD %v, %s", f, hit, aws.ToString(again.ETag), err, aws.ToString(head.ETag))
						}
						if hit == "" {
							if n < 6 {
								t.Errorf("Complete has only %d requests: is the store in front?", n-1)
							}
							break
						}
					}
				}
				c.sweptClean()
			})
		}
	}
}

func TestCreatePartAndAbortAreSimplyRepeatedAfterAnyFault(t *testing.T) {
	lab.TakesLong(t)
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrashes(t, name)
			small := shape{"small", 2, 100}
			for _, f := range []fault{cutBefore, cutAfter, killAfter} {
				for n := 1; ; n++ {
					key := fmt.Sprintf("create, %s %d", f, n)
					hit, _ := c.strike(f, n, func(client *s3.Client) error {
						_, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: &key})
						return err
					})
					m := s3test.Begin(t, c.steady, c.bucket, key)
					if _, err := m.Complete(c.steady, m.Send(c.steady, 1, s3test.Content(1, 50))); err != nil {
						t.Fatalf("Create, %s at %s: %v", f, hit, err)
					}
					if hit == "" {
						break
					}
				}
				for n := 1; ; n++ {
					key := fmt.Sprintf("part, %s %d", f, n)
					m, list, _, _ := c.begin(key, small)
					body := s3test.Content(9, 60)
					hit, _ := c.strike(f, n, func(client *s3.Client) error {
						_, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &c.bucket, Key: &key, UploadId: &m.ID, PartNumber: aws.Int32(2), Body: bytes.NewReader(s3test.Content(8, 70))})
						return err
					})
					if _, err := m.Complete(c.steady, list[0], m.Send(c.steady, 2, body)); err != nil {
						t.Fatalf("UploadPart, %s at %s: %v", f, hit, err)
					}
					if got := c.get(key); !bytes.Equal(got[5*s3test.MiB:], body) {
						t.Fatalf("UploadPart, %s at %s: the last part has %d bytes", f, hit, len(got)-5*s3test.MiB)
					}
					if hit == "" {
						break
					}
				}
				for n := 1; ; n++ {
					key := fmt.Sprintf("abort, %s %d", f, n)
					m, list, old, _ := c.begin(key, small)
					abort := func(client *s3.Client) error {
						_, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: &m.ID})
						return err
					}
					hit, _ := c.strike(f, n, abort)
					if err := abort(c.steady); err != nil && s3test.Code(err) != "NoSuchUpload" {
						t.Fatalf("Abort, %s at %s: repeated: %v", f, hit, err)
					}
					if _, err := m.Complete(c.steady, list...); s3test.Code(err) != "NoSuchUpload" {
						t.Fatalf("Abort, %s at %s: Complete: %v", f, hit, err)
					}
					if !bytes.Equal(c.get(key), old) {
						t.Fatalf("Abort, %s at %s: another object", f, hit)
					}
					if hit == "" {
						break
					}
				}
			}
			// A Create whose answer was lost leaves a live upload, which gc does not touch.
			out, code := lab.Command(t, lab.SharedStore(t, name), "gc", "s3://"+c.bucket, "--grace", "0s", "--upstream", c.store.URL)
			live := uploadState(t, c.store, c.bucket)
			if code != 0 || len(live) == 0 || !strings.Contains(out, fmt.Sprintf("%d live", len(live))) {
				t.Errorf("gc: exit code %d, %s: %d are live", code, out, len(live))
			}
			c.abortInStore(live)
			c.sweptClean()
		})
	}
}

// abortInStore aborts uploads as a lifecycle rule of the store would.
func (c *crashes) abortInStore(state []string) {
	c.t.Helper()
	client := s3test.SDK(c.t, c.store.S3())
	for _, name := range state {
		out, err := client.GetObject(c.t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &name})
		if err != nil {
			c.t.Fatal(err)
		}
		var named struct{ Key, Upload string }
		err = json.NewDecoder(out.Body).Decode(&named)
		out.Body.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := client.AbortMultipartUpload(c.t.Context(), &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &named.Key, UploadId: &named.Upload}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Uploads that end without a proxy leave state behind; gc waits before removing it.
func TestGcRemovesTheStateOfUploadsThatAreGoneAndNoOther(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrashes(t, name)
			at := lab.SharedStore(t, name)
			_, _, _, _ = c.begin("ended", shape{"small", 2, 100})
			ended := uploadState(t, at, c.bucket)
			m, list, _, made := c.begin("live", shape{"small", 2, 100})
			gc := func(want string, args ...string) {
				t.Helper()
				out, code := lab.Command(t, at, append([]string{"gc", "s3://" + c.bucket, "--json", "--upstream", at.URL}, args...)...)
				dry := ""
				if slices.Contains(args, "--dry-run") {
					dry = `"dry-run":true,`
				}
				if want = strings.TrimSpace(want); code != 0 || strings.TrimSpace(out) != fmt.Sprintf(`{"bucket":%q,%s%s,"locked":0,"foreign":0,"failed":[]}`, c.bucket, dry, want) {
					t.Errorf("gc %v: exit code %d: %s, want %s", args, code, out, want)
				}
			}
			gc(`"live":2,"removed":0,"waiting":0`)
			for _, key := range ended {
				if strings.HasSuffix(key, "/key") {
					c.abortInStore([]string{key})
				}
			}
			gc(`"live":1,"removed":1,"waiting":0`, "--dry-run", "--grace", "0s")
			gc(`"live":1,"removed":0,"waiting":1`)
			gc(`"live":1,"removed":0,"waiting":1`)
			if left := uploadState(t, at, c.bucket); len(left) != 2*len(ended)+1 { // plus the mark
				t.Errorf("state after a gc that waits: %v", left)
			}
			time.Sleep(2200 * time.Millisecond) // dates have a resolution of whole seconds
			gc(`"live":1,"removed":1,"waiting":0`, "--grace", "1s")
			if left := uploadState(t, at, c.bucket); len(left) != len(ended) {
				t.Errorf("state after gc: %v", left)
			}
			if _, err := m.Complete(c.steady, list...); err != nil || !bytes.Equal(c.get("live"), made) {
				t.Errorf("the live upload after gc: %v", err)
			}
			if out, code := lab.Command(t, at, "gc", "s3://there-is-no-such-bucket", "--upstream", at.URL); code != 1 || !strings.Contains(out, "NoSuchBucket") {
				t.Errorf("gc of a missing bucket: exit code %d: %s", code, out)
			}
		})
	}
}

func TestOfACompleteAndAnAbortExactlyOneWins(t *testing.T) {
	lab.TakesLong(t)
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrashes(t, name)
			won := map[string]int{}
			for n := 1; ; n++ {
				key := fmt.Sprintf("raced %d", n)
				m, list, old, made := c.begin(key, shape{"small", 2, 100})
				var aborted error
				c.faulty.arm(n, func() bool {
					_, aborted = c.steady.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: &m.ID})
					return true
				}, nil)
				_, completed := m.Complete(s3test.Once(t, c.proxy.S3()), list...)
				hit := c.faulty.disarm()
				if hit == "" {
					break
				}
				got := c.get(key)
				_, again := m.Complete(c.steady, list...)
				switch {
				case completed == nil && s3test.Code(aborted) == "NoSuchUpload":
					won["complete"]++
					if !bytes.Equal(got, made) || again != nil {
						t.Errorf("Complete won at %s: the object has %d bytes, a repeated Complete: %v", hit, len(got), again)
					}
				case s3test.Code(completed) == "NoSuchUpload" && aborted == nil:
					won["abort"]++
					if !bytes.Equal(got, old) || s3test.Code(again) != "NoSuchUpload" {
						t.Errorf("Abort won at %s: the object has %d bytes, a repeated Complete: %v", hit, len(got), again)
					}
				default:
					t.Errorf("at %s: Complete: %v; Abort: %v", hit, completed, aborted)
				}
			}
			if won["complete"] == 0 || won["abort"] == 0 {
				t.Errorf("won: %v", won)
			}
			c.sweptClean()
		})
	}
}

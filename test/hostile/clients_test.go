package hostile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// nonsense is a request that must be refused, and change nothing.
type nonsense struct {
	name string
	s3test.Call
	edit func(head string) string // changes the head before it is sent
	wire string                   // instead of the call: everything that is sent
	// gone allows the proxy to close the connection without an answer, for input that is not HTTP.
	gone bool
	// inList allows 200 for a list of keys if none was deleted. The store judges an empty key, and
	// versitygw accepts it.
	inList bool
}

// ground is where nonsense is tried: a bucket of each kind, with a victim beside it.
type ground struct {
	lab.S3
	host   string
	bucket string
	plain  bool   // the bucket is not encrypted
	victim string // a bucket with an object `k`
	upload string // an upload created for the key `parts`
	etag   string // of the upload's first part
}

func (g ground) at(key string) string { return "/" + g.bucket + "/" + key }

// send returns the answer to a request. If the proxy waits for more than was sent, send shuts its
// side after a moment, but not at once, because that is how a client gives up.
func (n nonsense) send(t testing.TB, g ground) s3test.Answer {
	t.Helper()
	all := n.wire
	if all == "" {
		head, body, _ := n.Call.Wire(g.S3, g.host)
		if n.edit != nil {
			head = []byte(n.edit(string(head)))
		}
		all = string(head) + string(body)
	}
	for _, patience := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
		got, cut := n.exchange(t, g, all, patience)
		if got.Status != http.StatusInternalServerError || !cut {
			return got
		}
		// A busy machine had not answered yet when the client said that it sends no more, which the
		// proxy takes for its end.
	}
	got, _ := n.exchange(t, g, all, lab.AnswerWithin)
	return got
}

// exchange sends what is there, and after patience says that there is no more.
func (n nonsense) exchange(t testing.TB, g ground, all string, patience time.Duration) (got s3test.Answer, cut bool) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", g.host, 5*time.Second)
	if err != nil {
		t.Fatalf("%s: nothing listens any longer: %v", n.name, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lab.AnswerWithin))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(conn, all)
	}()
	noMore := time.AfterFunc(patience, func() { conn.(*net.TCPConn).CloseWrite() })
	got = s3test.ReadAnswer(bufio.NewReader(conn), n.Method)
	cut = !noMore.Stop()
	conn.Close()
	<-sent
	return got, cut
}

// refused says what is wrong with the answer; nil if it is a proper refusal.
func (n nonsense) refused(got s3test.Answer) error {
	switch {
	case got.Status/100 == 4, got.Status == http.StatusNotImplemented, got.Status == http.StatusHTTPVersionNotSupported && n.gone:
		return nil
	case got.Status == 0 && n.gone && !errors.Is(got.Err, os.ErrDeadlineExceeded):
		return nil
	case got.Status == 200 && n.inList && !bytes.Contains(got.Body, []byte("<Deleted>")):
		return nil
	}
	return fmt.Errorf("%v: %.300s", got, got.Body)
}

// nonsenseGroups are the kinds of nonsense; each is made for a ground.
var nonsenseGroups = []struct {
	name string
	of   func(t testing.TB, g ground) []nonsense
}{
	{"names in paths", pathNonsense},
	{"names in queries", queryNonsense},
	{"names in copy sources", copyNonsense},
	{"names in documents", listNonsense},
	{"names of buckets", bucketNonsense},
	{"signatures", signatureNonsense},
	{"presigned URLs", presignedNonsense},
	{"headers", headerNonsense},
	{"chunks", chunkNonsense},
	{"documents", documentNonsense},
	{"multipart uploads", multipartNonsense},
	{"forms", formNonsense},
	{"what is no HTTP", wireNonsense},
}

// TestHostileRequestsAreRefusedAndChangeNothing covers clients with and without a key: whatever
// they send, no store receives more of it than a client may do.
func TestHostileRequestsAreRefusedAndChangeNothing(t *testing.T) {
	if lab.Direct {
		t.Skip("only the proxy refuses these requests")
	}
	for _, name := range lab.AllTargets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab.OneOfTwo(t, lab.AllTargets)
			h := newHostileLab(t, name)
			count := 0
			tree := h.tree(t)
			goroutines := h.goroutines(t)
			for _, group := range nonsenseGroups {
				for _, g := range h.grounds {
					for _, n := range group.of(t, g) {
						count++
						n.name = fmt.Sprintf("%s, plain %v: %s", group.name, g.plain, n.name)
						if err := n.refused(n.send(t, g)); err != nil {
							t.Errorf("%s: %v", n.name, err)
						}
					}
				}
				if changed := h.changed(t, tree); changed != "" {
					t.Errorf("after %s the store has changed: %s", group.name, changed)
					tree = h.tree(t)
				}
				if log := h.proxy.Log(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
					t.Fatalf("%s: the log has a panic:\n%s", group.name, log)
				}
			}
			if code, ended := h.proxy.Wait(0); ended {
				t.Fatalf("the proxy has ended, code %d", code)
			}
			for _, g := range h.grounds {
				if got := s3test.Get(t, h.proxy.S3(), "/"+g.victim+"/k"); string(got.Body) != "the victim's" {
					t.Errorf("the victim's object is now %v", got)
				}
			}
			if count < 1000 {
				t.Errorf("only %d requests", count)
			}
			now := h.goroutines(t)
			for end := time.Now().Add(5 * time.Second); now > goroutines+8 && time.Now().Before(end); now = h.goroutines(t) {
				time.Sleep(50 * time.Millisecond)
			}
			if now > goroutines+8 {
				t.Errorf("%d goroutines, %d before", now, goroutines)
			}
			peak, err := h.proxy.PeakMemory()
			if err != nil {
				lab.Skip(t, "there is no /proc")
			}
			if peak > 128<<20 {
				t.Errorf("peak memory is %d MiB", peak>>20)
			}
			t.Logf("%d requests, goroutines %d and %d, peak memory %d MiB", count, goroutines, now, peak>>20)
		})
	}
}

// hostileLab is a store for one test with a proxy in front of it.
type hostileLab struct {
	proxy   *lab.ProxyProcess
	admin   string
	root    string // everything that the store or the proxy could write is below it
	grounds []ground
}

func newHostileLab(t *testing.T, name string) *hostileLab {
	t.Helper()
	h := &hostileLab{admin: lab.FreeAddress(t)}
	settings := lab.PrivateFile(t, "buckets:\n  hostile-plain: {encrypt: false}\n  victim-plain: {encrypt: false}\n")
	o := lab.ProxyOptions{Args: []string{"--admin-listen", h.admin, "--config", settings}}
	switch name {
	case lab.OnVersitygw:
		o.Upstream = lab.Versitygw(t)
	case lab.OnMinIO:
		o.Upstream = lab.MinIO(t)
	}
	h.proxy = lab.Proxy(t, o)
	dir := h.proxy.DataDir
	if o.Upstream != nil {
		dir = o.Upstream.Dir
	}
	h.root = filepath.Dir(dir)
	for _, kind := range []string{"sealed", "plain"} {
		g := ground{S3: h.proxy.S3(), host: h.proxy.Address, bucket: "hostile-" + kind, plain: kind == "plain", victim: "victim-" + kind}
		client := s3test.SDK(t, g.S3)
		for _, bucket := range []string{g.bucket, g.victim} {
			if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			s3test.MustPut(t, g.S3, "/"+bucket+"/k", []byte("the victim's"))
		}
		key, one := "parts", int32(1)
		made, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &g.bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		g.upload = *made.UploadId
		part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &g.bucket, Key: &key, UploadId: &g.upload, PartNumber: &one, Body: bytes.NewReader([]byte("part"))})
		if err != nil {
			t.Fatal(err)
		}
		g.etag = *part.ETag
		h.grounds = append(h.grounds, g)
	}
	return h
}

// tree returns the hash of every file, except logs and MinIO's own files.
func (h *hostileLab) tree(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(h.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile
		case err != nil:
			return err
		case e.IsDir() && e.Name() == ".minio.sys":
			return filepath.SkipDir
		case !e.Type().IsRegular() || strings.HasSuffix(path, ".log"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		files[strings.TrimPrefix(path, h.root)] = fmt.Sprintf("%x", sha256.Sum256(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// changed says how the files differ from before. A store may take a moment to clean up after a
// request that it refused.
func (h *hostileLab) changed(t testing.TB, before map[string]string) (difference string) {
	t.Helper()
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		now := h.tree(t)
		if maps.Equal(now, before) {
			return ""
		}
		if time.Now().After(end) {
			for _, name := range slices.Sorted(maps.Keys(now)) {
				if now[name] != before[name] {
					difference += " +" + name
				}
			}
			for _, name := range slices.Sorted(maps.Keys(before)) {
				if _, there := now[name]; !there {
					difference += " -" + name
				}
			}
			return difference
		}
	}
}

// goroutines asks the proxy how many goroutines it has.
func (h *hostileLab) goroutines(t testing.TB) (n int) {
	t.Helper()
	resp, err := http.Get("http://" + h.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := fmt.Fscanf(resp.Body, "goroutine profile: total %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// attackLikeKeys look like attacks, but are valid S3 keys.
var attackLikeKeys = []string{
	"..a", "a..", "a..b/c", "...", "a/...", "%2e%2e/x", "%2E%2E%2Fvictim%2Fk", "%252e", "a%00b", "a?versionId=1", "a#b", "a&b=c", "a+b c", "a;b", "a,b", "a'b\"c", "<k>&amp;", "]]>",
	"ü/日本/😀", "a\tb", "a\nb", "a\x7fb", "key=value", "~", "-", "_", "$(x)", "`x`", "{a,b}", "[x]", "x|y", "x:y", "C:", "@", "*", "minio", "admin", "s3proxy", ".s3prox", "null", strings.Repeat("k", 200),
}

func TestOddKeysThatAreLegalStayLegal(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for i, key := range attackLikeKeys {
			path := "/" + bucket + "/" + s3test.Escape(key, true)
			body := s3test.Content(uint64(i), 100+i)
			if got := (s3test.Call{Method: "PUT", Path: path, Body: body}).Do(t, at.S3); got.Status != 200 {
				t.Errorf("PUT of %q: %v", key, got)
				continue
			}
			if got := s3test.Get(t, at.S3, path); got.Status != 200 || s3test.SameBytes(got.Body, body) != nil {
				t.Errorf("GET of %q: %v", key, got)
			}
		}
		listed, err := s3test.SDK(t, at.S3).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, EncodingType: "url"})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, o := range listed.Contents {
			key, _ := url.QueryUnescape(*o.Key)
			found[key], found[*o.Key] = true, true
		}
		for _, key := range attackLikeKeys {
			if !found[key] {
				t.Errorf("%q is not listed", key)
			}
			if got := (s3test.Call{Method: "DELETE", Path: "/" + bucket + "/" + s3test.Escape(key, true)}).Do(t, at.S3); got.Status != 204 {
				t.Errorf("DELETE of %q: %v", key, got)
			}
		}
	})
}

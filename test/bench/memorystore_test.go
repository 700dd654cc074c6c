package bench

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// memoryStoreEnv makes this binary a store in memory, at an address: one that is cheap and has no
// growth of its own. It shows how the proxy's work grows, and proves nothing about S3.
const memoryStoreEnv = "BENCH_MEMORY_STORE"

// keptOfPart is up to which size the bytes of a part are kept, in bytes. Of larger ones, which
// only an upload of many needs, the store keeps zeros.
const keptOfPart = 5*mib - 1

// memoryStore has what s3proxy asks of a store without versions.
type memoryStore struct {
	requests atomic.Int64
	seed     maphash.Seed

	mu      sync.RWMutex
	buckets map[string]*memoryBucket
	uploads map[string]*memoryUpload // by id
	made    int                      // uploads so far
}

type memoryBucket struct {
	objects map[string]*memoryObject
	keys    []string // in order
}

// memoryObject is never changed. Bytes before its tail are zeros.
type memoryObject struct {
	header   http.Header
	etag     string
	size     int64
	tail     []byte
	modified time.Time
}

func memoryStoreProcess(address string) {
	s := &memoryStore{seed: maphash.MakeSeed(), buckets: map[string]*memoryBucket{}, uploads: map[string]*memoryUpload{}}
	panic(http.ListenAndServe(address, s))
}

// startMemoryStore starts one, and waits until it listens.
func startMemoryStore(b *testing.B) *lab.Store {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	address := lab.FreeAddress(b)
	p := lab.Start(b, "memorystore", self, nil, lab.Env(memoryStoreEnv+"="+address))
	p.AwaitListening(b, address)
	return &lab.Store{Process: p, URL: "http://" + address, AccessKey: "anybody", SecretKey: "anything"}
}

// ServeHTTP implements http.Handler.
func (s *memoryStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket == "-" { // how many requests there were
		fmt.Fprint(w, s.requests.Load())
		return
	}
	s.requests.Add(1)
	body, err := readBody(r)
	q := r.URL.Query()
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "IncompleteBody")
	case bucket == "":
		fmt.Fprint(w, "<ListAllMyBucketsResult><Owner><ID>o</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>")
	case key == "":
		s.bucket(w, r, bucket, body)
	case q.Has("uploadId") || q.Has("uploads"):
		s.upload(w, r, bucket, key, body)
	default:
		s.object(w, r, bucket, key, body)
	}
}

func (s *memoryStore) bucket(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	q := r.URL.Query()
	s.mu.Lock()
	b := s.buckets[name]
	if b == nil && r.Method == http.MethodPut {
		b = &memoryBucket{objects: map[string]*memoryObject{}}
		s.buckets[name] = b
	}
	s.mu.Unlock()
	switch {
	case b == nil:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPost && q.Has("delete"):
		for rest := string(body); strings.Contains(rest, "<Key>"); {
			s.remove(b, between(rest, "<Key>", "</Key>"))
			_, rest, _ = strings.Cut(rest, "</Key>")
		}
		fmt.Fprint(w, "<DeleteResult></DeleteResult>")
	case r.Method != http.MethodGet:
	case q.Has("versioning"):
		fmt.Fprint(w, "<VersioningConfiguration></VersioningConfiguration>")
	case q.Has("location"):
		fmt.Fprint(w, "<LocationConstraint></LocationConstraint>")
	case q.Has("uploads"):
		s.listUploads(w, q, name)
	case q.Has("object-lock"):
		refuse(w, http.StatusNotFound, "ObjectLockConfigurationNotFoundError")
	default:
		s.list(w, q, name, b)
	}
}

func (s *memoryStore) object(w http.ResponseWriter, r *http.Request, bucket, key string, body []byte) {
	s.mu.RLock()
	b := s.buckets[bucket]
	var o *memoryObject
	if b != nil {
		o = b.objects[key]
	}
	s.mu.RUnlock()
	switch {
	case b == nil:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPut:
		etag, written := s.put(r.Header, b, key, &memoryObject{header: keptHeaders(r.Header), etag: s.hash(body), size: int64(len(body)), tail: body})
		if !written {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		w.Header().Set("ETag", etag)
	case r.Method == http.MethodDelete:
		s.remove(b, key)
		w.WriteHeader(http.StatusNoContent)
	case o == nil:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case r.URL.Query().Has("tagging"):
		fmt.Fprint(w, "<Tagging><TagSet></TagSet></Tagging>")
	case r.URL.Query().Has("acl"):
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	default:
		for name, values := range o.header {
			w.Header()[name] = values
		}
		w.Header().Set("ETag", o.etag)
		http.ServeContent(w, r, "", o.modified, io.NewSectionReader(o, 0, o.size))
	}
}

// put keeps an object, unless the conditions of a write do not hold.
func (s *memoryStore) put(h http.Header, b *memoryBucket, key string, o *memoryObject) (etag string, written bool) {
	o.modified = time.Now().Truncate(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := b.objects[key]
	if match := h.Get("If-Match"); match != "" && (old == nil || old.etag != match) {
		return "", false
	}
	if h.Get("If-None-Match") == "*" && old != nil {
		return "", false
	}
	if old == nil {
		at, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.objects[key] = o
	return o.etag, true
}

func (s *memoryStore) remove(b *memoryBucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.objects[key] == nil {
		return
	}
	delete(b.objects, key)
	at, _ := slices.BinarySearch(b.keys, key)
	b.keys = slices.Delete(b.keys, at, at+1)
}

// ReadAt implements io.ReaderAt.
func (o *memoryObject) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, make([]byte, min(max(o.size-int64(len(o.tail))-off, 0), int64(len(p)))))
	if at := off + int64(n) - (o.size - int64(len(o.tail))); at >= 0 && at < int64(len(o.tail)) {
		n += copy(p[n:], o.tail[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// hash is an ETag: of the same bytes it is the same.
func (s *memoryStore) hash(body []byte) string {
	sum := maphash.Bytes(s.seed, body)
	return fmt.Sprintf(`"%016x%016x"`, sum, sum^uint64(len(body)))
}

func keptHeaders(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Type" {
			kept[name] = values
		}
	}
	return kept
}

// readBody takes chunks apart, and believes them.
func readBody(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
		_, err := body.ReadFrom(r.Body)
		return body.Bytes(), err
	}
	size, err := strconv.Atoi(r.Header.Get("X-Amz-Decoded-Content-Length"))
	if err != nil {
		return nil, err
	}
	return readChunks(r.Body, make([]byte, 0, size))
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// TestTheStoreInMemoryKeepsWhatItGot is of the one thing that figures rely on.
func TestTheStoreInMemoryKeepsWhatItGot(t *testing.T) {
	s := httptest.NewServer(&memoryStore{seed: maphash.MakeSeed(), buckets: map[string]*memoryBucket{}, uploads: map[string]*memoryUpload{}})
	defer s.Close()
	to := &target{"memory", s.URL, "id", "secret", s.Client()}
	if err := to.do(http.MethodPut, "/bucket", nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []content{whole(200 * kib), {11 * mib, 4 * mib}} {
		if c.piece < c.size {
			if err := to.upload("/bucket/key", c, true); err != nil {
				t.Fatal(err)
			}
		} else if _, err := to.put("/bucket/key", c, 0, c.size, false); err != nil {
			t.Fatal(err)
		}
		for _, at := range [][2]int64{{0, c.size}, {c.size / 2, 70 * kib}, {c.size - 5, 5}} {
			if err := to.get("/bucket/key", c, at[0], at[1]); err != nil {
				t.Errorf("%v: %v", at, err)
			}
		}
	}
	for i := range 2500 {
		if err := to.do(http.MethodPut, fmt.Sprintf("/bucket/many/%04d", (i*7)%2500), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.list("/bucket?list-type=2&prefix=many%2F", objectList, 2500); err != nil {
		t.Error(err)
	}
	if err := to.list("/bucket?list-type=2&prefix=many%2F00", objectList, 100); err != nil {
		t.Error(err)
	}
}

package proxy

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// partStore is a fakeStore's hook that keeps multipart uploads, each part with the ETag
// that etag gives it. Not what a real store does: what a hostile one may.
type partStore struct {
	*fakeStore
	etag func(number int, sent int) string // sent: how often this part was before
	// keep tells whether a sending takes the place of the one before; nil: always.
	keep func(number int, sent int) bool
	// early answers a part before its body was read.
	early bool

	mu      sync.Mutex
	uploads map[string]*fakeUpload
}

type fakeUpload struct {
	header http.Header
	parts  map[int]fakePart
	sent   map[int]int
}

type fakePart struct {
	etag string
	body []byte
}

// newPartStore makes the store of a test.
func newPartStore(etag func(number, sent int) string) *partStore {
	s := &partStore{fakeStore: &fakeStore{}, etag: etag, uploads: map[string]*fakeUpload{}}
	s.hook = s.serve
	return s
}

func (s *partStore) serve(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	id := q.Get("uploadId")
	number, _ := strconv.Atoi(q.Get("partNumber"))
	var body []byte
	if !s.early || number == 0 {
		if r.Method != http.MethodPost && (r.Method != http.MethodPut || id == "") {
			return s.list(w, r)
		}
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	switch {
	case q.Has("uploads"):
		id := fmt.Sprintf("upload-%d", len(s.uploads))
		s.uploads[id] = &fakeUpload{header: r.Header, parts: map[int]fakePart{}, sent: map[int]int{}}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case q.Has("delete"):
		s.delete(body)
		io.WriteString(w, "<DeleteResult/>")
	case u == nil:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "<Error><Code>NoSuchUpload</Code></Error>")
	case r.Method == http.MethodPut:
		etag := s.etag(number, u.sent[number])
		if s.keep == nil || s.keep(number, u.sent[number]) {
			u.parts[number] = fakePart{etag, body}
		}
		u.sent[number]++
		w.Header().Set("Etag", `"`+etag+`"`)
	default:
		s.complete(w, r.URL.Path, u, body)
	}
	return true
}

// list answers what has no body: the parts of an upload, and the names of objects.
func (s *partStore) list(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fakeStore.mu.Lock()
	defer s.fakeStore.mu.Unlock()
	switch {
	case r.Method == http.MethodGet && q.Has("uploadId"):
		io.WriteString(w, "<ListPartsResult>")
		for number, p := range s.uploads[q.Get("uploadId")].parts {
			fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size></Part>", number, p.etag, len(p.body))
		}
		io.WriteString(w, "</ListPartsResult>")
	case r.Method == http.MethodGet && (q.Has("list-type") || q.Has("versions")):
		bucket, _, _ := strings.Cut(r.URL.Path[1:], "/")
		var keys []string
		for path := range s.objects {
			if key, ok := strings.CutPrefix(path, "/"+bucket+"/"); ok && strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("start-after") {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		list, entry, more := "ListBucketResult", "Contents", ""
		if q.Has("versions") {
			list, entry, more = "ListVersionsResult", "Version", "<VersionId>null</VersionId>"
		}
		fmt.Fprintf(w, "<%s>", list)
		for _, key := range keys {
			fmt.Fprintf(w, "<%s><Key>%s</Key>%s<LastModified>2026-01-01T00:00:00Z</LastModified></%[1]s>", entry, key, more)
		}
		fmt.Fprintf(w, "</%s>", list)
	default:
		return false
	}
	return true
}

func (s *partStore) delete(body []byte) {
	var list struct {
		Objects []struct{ Key string } `xml:"Object"`
	}
	if err := xml.Unmarshal(body, &list); err != nil {
		panic(err)
	}
	s.fakeStore.mu.Lock()
	defer s.fakeStore.mu.Unlock()
	for _, o := range list.Objects {
		delete(s.objects, "/bucket/"+o.Key)
	}
}

func (s *partStore) complete(w http.ResponseWriter, path string, u *fakeUpload, body []byte) {
	var list s3xml.CompleteUpload
	if err := xml.Unmarshal(body, &list); err != nil {
		panic(err)
	}
	o := fakeObject{header: http.Header{}}
	for name, values := range u.header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			o.header[name] = values
		}
	}
	for _, p := range list.Parts {
		if u.parts[int(*p.PartNumber)].etag != object.BareETag(*p.ETag) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "<Error><Code>InvalidPart</Code></Error>")
			return
		}
		o.body = append(o.body, u.parts[int(*p.PartNumber)].body...)
	}
	s.fakeStore.mu.Lock()
	defer s.fakeStore.mu.Unlock()
	etag := fmt.Sprintf(`"%x-%d"`, md5.Sum(o.body), len(list.Parts))
	o.header["Etag"] = []string{etag}
	s.objects[path] = o
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>", etag)
}

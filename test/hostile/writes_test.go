package hostile

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// writeDeed is a way to write an object. It ends at the first unsuccessful answer.
type writeDeed struct {
	name string
	size int
	do   func(t testing.TB, at lab.S3, path string, body []byte) (a s3test.Answer, etag string)
}

func putWhole(t testing.TB, at lab.S3, path string, body []byte) (s3test.Answer, string) {
	a := s3test.Call{Method: http.MethodPut, Path: path, Body: body, PayloadHash: s3test.UnsignedPayload}.Do(t, at)
	return a, a.Header.Get("ETag")
}

// putInPartsOf uploads in parts of so many bytes, and the rest.
func putInPartsOf(size int) func(testing.TB, lab.S3, string, []byte) (s3test.Answer, string) {
	return func(t testing.TB, at lab.S3, path string, body []byte) (s3test.Answer, string) {
		begun := s3test.Call{Method: http.MethodPost, Path: path, Query: "uploads="}.Do(t, at)
		id := between(begun.Body, "<UploadId>", "</UploadId>")
		if !succeeded(begun) || id == "" {
			return noAnswerOfUse(begun), ""
		}
		list := "<CompleteMultipartUpload>"
		for number := 1; len(body) > 0; number++ {
			n := min(size, len(body))
			part := s3test.Call{Method: http.MethodPut, Path: path, Query: fmt.Sprintf("partNumber=%d&uploadId=%s", number, id), Body: body[:n], PayloadHash: s3test.UnsignedPayload}.Do(t, at)
			tag := part.Header.Get("ETag")
			if !succeeded(part) || tag == "" {
				return noAnswerOfUse(part), ""
			}
			list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, tag)
			body = body[n:]
		}
		done := s3test.Call{Method: http.MethodPost, Path: path, Query: "uploadId=" + id, Body: []byte(list + "</CompleteMultipartUpload>")}.Do(t, at)
		return done, unescapeETag(between(done.Body, "<ETag>", "</ETag>"))
	}
}

// unescapeETag unescapes an ETag from an XML document.
func unescapeETag(text string) string {
	return strings.NewReplacer("&#34;", `"`, "&quot;", `"`).Replace(text)
}

var writeDeeds = []writeDeed{
	{name: "PUT of nothing", do: putWhole},
	{name: "PUT", size: 70_000, do: putWhole},
	{name: "PUT that streams", size: 1<<20 + 70_000, do: putWhole},
	{name: "upload of one part", size: 70_001, do: putInPartsOf(70_001)},
	{name: "upload of two parts", size: 5<<20 + 70_001, do: putInPartsOf(5 << 20)},
}

// step is a kind of request that a write makes to the store.
type step struct {
	name  string
	is    func(r *http.Request, own bool) bool // own: to one of the proxy's own objects
	lists bool                                 // the answer is a list
}

var writeSteps = []step{
	{name: "the object's PUT", is: func(r *http.Request, own bool) bool {
		return r.Method == http.MethodPut && !own && r.URL.RawQuery == ""
	}},
	{name: "Create", is: func(r *http.Request, own bool) bool {
		return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
	}},
	{name: "the part's PUT", is: func(r *http.Request, own bool) bool {
		return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
	}},
	{name: "what is kept of the upload", is: func(r *http.Request, own bool) bool { return own && r.Method == http.MethodPut }},
	{name: "what was kept of the upload", is: func(r *http.Request, own bool) bool { return own && r.Method == http.MethodGet }},
	{name: "ListParts", lists: true, is: func(r *http.Request, own bool) bool {
		return !own && r.Method == http.MethodGet && r.URL.Query().Has("uploadId")
	}},
	{name: "Complete", is: func(r *http.Request, own bool) bool {
		return !own && r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
	}},
	{name: "a look at the object", is: func(r *http.Request, own bool) bool {
		return !own && isRead(r) && !r.URL.Query().Has("uploadId") && r.URL.Query().Get("prefix") == ""
	}},
}

// writePlace is a bucket in which tests write while lies are told.
type writePlace struct {
	mode             string
	hostile          *lab.HostileStore
	writer, reader   lab.S3
	bucket           string
	writes           int
	attacks, written int
}

func newWritePlace(t *testing.T, mode string) *writePlace {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	store := lab.SharedVersitygw(t)
	p := &writePlace{mode: mode, hostile: lab.Hostile(t, store)}
	first := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", mode}})
	p.reader, p.bucket = first.S3(), s3test.NewBucket(t, first.S3())
	p.writer = lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: p.hostile.URL, DataDir: first.DataDir, Args: []string{"--etag", mode}}).S3()
	return p
}

// try writes over an object, or where there is none, and then checks what is there. told counts the
// lies.
func (p *writePlace) try(t *testing.T, d writeDeed, name string, over bool, told func() int) {
	t.Helper()
	p.writes++
	path := fmt.Sprintf("/%s/object-%d", p.bucket, p.writes)
	old, body := s3test.Content(uint64(2*p.writes), 40_000), s3test.Content(uint64(2*p.writes+1), d.size)
	if over {
		s3test.MustPut(t, p.reader, path, old)
	}
	got, etag := d.do(t, p.writer, path, body)
	n := told()
	if n > 0 {
		p.attacks++
	}
	after := s3test.Get(t, p.reader, path)
	storesWord := p.mode == lab.ModeOpaque && strings.Contains(name, "ETag")
	isNew, isOld := after.Status == 200 && after.Err == nil && s3test.SameBytes(after.Body, body) == nil, over && s3test.SameBytes(after.Body, old) == nil
	switch {
	case after.Status == 0 || after.Status == 200 && !isNew && !isOld || after.Status >= 500 || after.Status == 404 && over:
		t.Errorf("%s, %s, %d told: %v, and then it is %v", d.name, name, n, got, after)
	case succeeded(got) && !isNew:
		t.Errorf("%s, %s, %d told: %v, and then it is %v", d.name, name, n, got, after)
	case succeeded(got) && etag == "" && !storesWord:
		t.Errorf("%s, %s, %d told: %v without an ETag", d.name, name, n, got)
	case succeeded(got) && etag != after.Header.Get("ETag") && !storesWord:
		t.Errorf("%s, %s, %d told: the ETag %s was given, and it is %s", d.name, name, n, etag, after.Header.Get("ETag"))
	}
	if n > 0 && succeeded(got) {
		p.written++
	}
}

// Whatever a store answers to a write: the client gets an error, or what it wrote is there.
func TestAWriteToAHostileStoreIsThereOrAnError(t *testing.T) {
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newWritePlace(t, mode)
			n := 0
			for _, s := range writeSteps {
				lies := answerLies()
				if s.lists {
					lies = append(lies, clientListLies()...)
				}
				for _, l := range lies {
					for _, d := range writeDeeds {
						if n++; !lab.Long && n%29 != 0 || d.size > 1<<20 && n%4 != 0 {
							continue
						}
						p.hostile.Tell(when(l, func(r *http.Request) bool {
							own := strings.Contains(r.URL.Path, "/.s3proxy/")
							return strings.Contains(r.URL.Path, "/"+p.bucket+"/") && !strings.Contains(r.URL.Path, "/.s3proxy/keys/") && s.is(r, own)
						}))
						p.try(t, d, s.name+": "+l.name, n%2 == 0, func() int { return p.hostile.Tell(nil) })
					}
				}
			}
			for _, d := range writeDeeds {
				p.try(t, d, "honestly, after all that", true, func() int { return 0 })
			}
			t.Logf("%d attacks on writes: %d written right, %d refused", p.attacks, p.written, p.attacks-p.written)
			if lab.Long && p.attacks < 500 {
				t.Errorf("%d attacks changed an answer, want 500", p.attacks)
			}
		})
	}
}

// A store that has not asked for the body does not have it, whatever it says.
func TestAnAnswerOfAHostileStoreBeforeTheBodyIsNoSuccess(t *testing.T) {
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			p := newWritePlace(t, mode)
			for _, d := range []writeDeed{{name: "PUT", size: 9 << 20, do: putWhole}, {name: "upload of one part", size: 9 << 20, do: putInPartsOf(9 << 20)}} {
				for _, status := range []int{200, 204, 307, 403, 500, 503} {
					path, old := fmt.Sprintf("/%s/%d-%d", p.bucket, len(d.name), status), s3test.Content(1, 40_000)
					s3test.MustPut(t, p.reader, path, old)
					p.hostile.Preempt(func(r *http.Request) *lab.Reply {
						if r.URL.Path != path || r.Method != http.MethodPut {
							return nil
						}
						return &lab.Reply{Status: status, Header: http.Header{"Etag": {`"00000000000000000000000000000000"`}, "Location": {"/elsewhere/object"}}}
					})
					got, _ := d.do(t, p.writer, path, s3test.Content(2, d.size))
					if told := p.hostile.Preempt(nil); told == 0 || succeeded(got) {
						t.Errorf("%s, status %d before the body, %d told: %v", d.name, status, told, got)
					}
					if after := s3test.Get(t, p.reader, path); after.Status != 200 || s3test.SameBytes(after.Body, old) != nil {
						t.Errorf("%s, status %d before the body: it is now %v", d.name, status, after)
					}
				}
			}
		})
	}
}

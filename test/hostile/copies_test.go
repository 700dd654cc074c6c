package hostile

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// copyDeed is a way to copy an object. It ends at the first unsuccessful answer.
type copyDeed struct {
	name    string
	inPlace bool // the source is the destination
	plain   bool // the destination's bucket is not encrypted
	ranged  bool // copies only bytes 10 to 69999
	do      func(t testing.TB, at lab.S3, from, to string) s3test.Answer
}

const (
	copiedRange  = "bytes=10-69999"
	anOlderState = "an older state"
)

// right is what the destination must read as, given the source's bytes.
func (d copyDeed) right(body []byte) []byte {
	if d.ranged {
		return body[10:70_000]
	}
	return body
}

func copyBy(headers map[string]string) func(testing.TB, lab.S3, string, string) s3test.Answer {
	return func(t testing.TB, at lab.S3, from, to string) s3test.Answer {
		h := map[string]string{"x-amz-copy-source": from}
		for name, value := range headers {
			h[name] = value
		}
		return s3test.Call{Method: http.MethodPut, Path: to, Headers: h}.Do(t, at)
	}
}

func copyInPart(ask string) func(testing.TB, lab.S3, string, string) s3test.Answer {
	return func(t testing.TB, at lab.S3, from, to string) s3test.Answer {
		begun := s3test.Call{Method: http.MethodPost, Path: to, Query: "uploads="}.Do(t, at)
		id := between(begun.Body, "<UploadId>", "</UploadId>")
		if id == "" {
			return noAnswerOfUse(begun)
		}
		h := map[string]string{"x-amz-copy-source": from}
		if ask != "" {
			h["x-amz-copy-source-range"] = ask
		}
		part := s3test.Call{Method: http.MethodPut, Path: to, Query: "partNumber=1&uploadId=" + id, Headers: h}.Do(t, at)
		tag := between(part.Body, "<ETag>", "</ETag>")
		if !succeeded(part) || tag == "" {
			return noAnswerOfUse(part)
		}
		list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + tag + "</ETag></Part></CompleteMultipartUpload>"
		return s3test.Call{Method: http.MethodPost, Path: to, Query: "uploadId=" + id, Body: []byte(list)}.Do(t, at)
	}
}

// noAnswerOfUse marks a 200 without what the client needs to go on as a failure.
func noAnswerOfUse(a s3test.Answer) s3test.Answer {
	if succeeded(a) {
		a.Err = io.ErrUnexpectedEOF
	}
	return a
}

func between(text []byte, before, after string) string {
	_, rest, _ := strings.Cut(string(text), before)
	rest, _, ok := strings.Cut(rest, after)
	if !ok {
		return ""
	}
	return rest
}

// succeeded reports whether a client takes an answer for a success. A copy may answer 200 with an
// error.
func succeeded(a s3test.Answer) bool {
	return a.Status/100 == 2 && a.Err == nil && !bytes.Contains(a.Body, []byte("<Error>"))
}

var copyDeeds = []copyDeed{
	{name: "to another name", do: copyBy(nil)},
	{name: "onto itself", inPlace: true, do: copyBy(map[string]string{"x-amz-metadata-directive": "REPLACE", "x-amz-meta-color": "red"})},
	{name: "with another checksum", do: copyBy(map[string]string{"x-amz-checksum-algorithm": "SHA256"})},
	{name: "into a bucket that is not encrypted", plain: true, do: copyBy(nil)},
	{name: "as a part", do: copyInPart("")},
	{name: "a range of it, as a part", ranged: true, do: copyInPart(copiedRange)},
	{name: "a range of it, as a part of what is not encrypted", ranged: true, plain: true, do: copyInPart(copiedRange)},
}

// copyPlace is a bucket with objects to copy, and an unencrypted bucket.
type copyPlace struct {
	*hostilePlace
	config  string
	plain   string
	reader  lab.S3
	older   []byte // an earlier content of the victim "segments"
	reading []lie
	copies  int
}

func newCopyPlace(t *testing.T, mode string) *copyPlace {
	t.Helper()
	h := newHostilePlace(t, mode)
	p := &copyPlace{hostilePlace: h, plain: s3test.NewBucket(t, h.store.S3())}
	p.config = lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", p.plain))
	p.reader = lab.Proxy(t, lab.ProxyOptions{Upstream: h.store, DataDir: h.dir, Args: []string{"--etag", mode, "--config", p.config}}).S3()
	p.victims = slices.DeleteFunc(p.victims, func(v victim) bool { return len(v.body) < 70_000 })
	if lab.Long { // copied in place, inside the store
		v := victim{key: "streamed", body: s3test.Content(77, 9<<20), parts: []int{9 << 20}}
		s3test.MustPut(t, p.reader, "/"+h.bucket+"/"+v.key, v.body)
		p.victims = append(p.victims, v)
	}
	v := &p.victims[slices.IndexFunc(p.victims, func(v victim) bool { return v.key == "segments" })]
	path := "/" + h.bucket + "/" + v.key
	p.older = s3test.Content(7, len(v.body))
	s3test.MustPut(t, p.reader, path, p.older)
	old := s3test.RawGet(t, h.store.S3(), path)
	s3test.MustPut(t, p.reader, path, v.body)
	p.reading = slices.Concat(h.lies, aboutLarge(bodyLies()), []lie{
		{name: anOlderState, tell: instead(old, true, true)},
		{name: "an older state's bytes", tell: instead(old, true, false)},
		{name: "an older state's metadata", tell: instead(old, false, true)},
	})
	return p
}

// try copies a victim while a lie is told, and then checks the destination.
func (p *copyPlace) try(t *testing.T, at lab.S3, d copyDeed, v victim, name string, tell lab.Lie) (told, copied int) {
	t.Helper()
	p.copies++
	from := "/" + p.bucket + "/" + v.key
	to := fmt.Sprintf("/%s/copy-%d", p.bucket, p.copies)
	if d.plain {
		to = fmt.Sprintf("/%s/copy-%d", p.plain, p.copies)
	}
	if d.inPlace {
		to = from
	}
	p.hostile.Tell(tell)
	got := d.do(t, at, from, to)
	told = p.hostile.Tell(nil)
	after := s3test.Get(t, p.reader, to)
	whole := after.Status == 200 && after.Err == nil
	right := whole && (s3test.SameBytes(after.Body, d.right(v.body)) == nil || len(v.body) == len(p.older) && s3test.SameBytes(after.Body, d.right(p.older)) == nil)
	// The store copied its own bytes under the ETag of the older state; nobody can read those.
	lost := name == anOlderState && !d.inPlace && after.Status >= 500
	if whole && !right || succeeded(got) && !right && !lost || d.inPlace && !right {
		t.Errorf("%s of %s, %s, %d answers changed: %v, and the destination reads as %v", d.name, v.key, name, told, got, after)
	}
	if d.inPlace && !right { // restore it for the lies that follow
		s3test.MustPut(t, p.reader, from, v.body)
	}
	if p.mode == lab.ModeMD5 && succeeded(got) && right && !d.plain {
		head := s3test.Call{Method: http.MethodHead, Path: to}.Do(t, p.reader)
		if tag := strings.ReplaceAll(between(got.Body, "<ETag>", "</ETag>"), "&#34;", `"`); tag != head.Header.Get("ETag") {
			t.Errorf("%s of %s, %s: the answer's ETag is %s, the object's %s", d.name, v.key, name, tag, head.Header.Get("ETag"))
		}
	}
	if told > 0 && succeeded(got) {
		copied = 1
	}
	return min(told, 1), copied
}

// tryAll tells one lie about all copies, to a proxy with an empty cache.
func (p *copyPlace) tryAll(t *testing.T, name string, withLarge bool, tell func(from string) lab.Lie) (attacks, copied int) {
	t.Helper()
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: p.store, UpstreamURL: p.hostile.URL, DataDir: p.dir, Args: []string{"--etag", p.mode, "--config", p.config}})
	defer func() { proxy.Term(); proxy.Wait(lab.AnswerWithin) }()
	for _, v := range p.victims {
		for _, d := range copyDeeds {
			if v.key != "segments" && strings.HasPrefix(name, anOlderState) || len(v.body) > 1<<20 && !withLarge {
				continue
			}
			told, done := p.try(t, proxy.S3(), d, v, name, tell("/"+p.bucket+"/"+v.key))
			attacks, copied = attacks+told, copied+done
		}
	}
	return attacks, copied
}

// Whatever a store says about a copy or its source: the client gets an error, or the destination
// reads as the source.
func TestACopyInAHostileStoreIsRightOrAnError(t *testing.T) {
	lab.TakesLong(t)
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newCopyPlace(t, mode)
			step := lab.Every(16, 16)
			var attacks, copied int
			count := func(a, c int) { attacks, copied = attacks+a, copied+c }
			for n := 0; n < len(p.reading); n += step {
				l := p.reading[n]
				count(p.tryAll(t, l.name, n%8 == 0, func(from string) lab.Lie {
					return when(l, func(r *http.Request) bool { return isRead(r) && r.URL.Path == from })
				}))
			}
			answers := answerLies()
			for n := 0; n < len(answers); n += step {
				l := answers[n]
				count(p.tryAll(t, "in answer to a write: "+l.name, n%8 == 0, func(string) lab.Lie {
					return when(l, func(r *http.Request) bool { return !isRead(r) && !strings.Contains(r.URL.Path, "/.s3proxy/") })
				}))
			}
			t.Logf("%d attacks on copies: %d copied right, %d refused", attacks, copied, attacks-copied)
			if lab.Long && attacks < 1000 {
				t.Errorf("%d attacks changed an answer, want 1,000", attacks)
			}
		})
	}
}

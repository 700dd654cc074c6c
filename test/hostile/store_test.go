package hostile

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// victim is an object about which a hostile store lies.
type victim struct {
	key   string
	body  []byte
	etag  string
	parts []int
}

// question is a call whose answer is judged. It says which bytes of the object it asks for.
type question struct {
	name          string
	method, query string
	ask           string // Range
	part          int
	warm          bool
}

var questions = []question{
	{name: "range, cold", method: "GET", ask: "bytes=10-69999"},
	{name: "HEAD, cold", method: "HEAD"},
	{name: "GET", method: "GET", warm: true},
	{name: "HEAD", method: "HEAD", warm: true},
	{name: "range, warm", method: "GET", ask: "bytes=0-0", warm: true},
	{name: "range over segments, warm", method: "GET", ask: "bytes=65530-131080", warm: true},
	{name: "suffix", method: "GET", ask: "bytes=-7", warm: true},
	{name: "HEAD of a range", method: "HEAD", ask: "bytes=0-3", warm: true},
	{name: "part 1", method: "GET", query: "partNumber=1", part: 1, warm: true},
	{name: "part 2", method: "GET", query: "partNumber=2", part: 2, warm: true},
}

// right returns the bytes that a question asks for; nil and false if there are none.
func (q question) right(v victim, body []byte) (first int, want []byte, ok bool) {
	last := len(body) - 1
	switch {
	case q.part > 0:
		for n, size := range v.parts {
			if n+1 == q.part {
				return first, body[first : first+size], true
			}
			first += size
		}
		return 0, nil, false
	case strings.HasPrefix(q.ask, "bytes=-") && len(body) == 0:
		return 0, nil, true // the whole object, with status 200
	case strings.HasPrefix(q.ask, "bytes=-"):
		var n int
		fmt.Sscanf(q.ask, "bytes=-%d", &n)
		first = max(0, len(body)-n)
	case q.ask != "":
		fmt.Sscanf(q.ask, "bytes=%d-%d", &first, &last)
		last = min(last, len(body)-1)
	}
	if q.ask != "" && first > last {
		return 0, nil, false
	}
	return first, body[first : last+1], true
}

// judge says what is wrong with an answer. Acceptable are an error, a transfer that broke after
// correct bytes, and the correct bytes with the right size and, if the answer has one that is
// sealed, ETag.
func (q question) judge(v victim, mode string, a s3test.Answer) error {
	if a.Status >= 300 || a.Status == 0 {
		return nil
	}
	err := q.judgeContent(v, v.body, a)
	if err != nil {
		return err
	}
	if mode == lab.ModeMD5 && a.Header.Get("ETag") != v.etag {
		return fmt.Errorf("ETag %s, want %s", a.Header.Get("ETag"), v.etag)
	}
	return nil
}

func (q question) judgeContent(v victim, body []byte, a s3test.Answer) error {
	first, want, ok := q.right(v, body)
	if !ok {
		return fmt.Errorf("%v for something that does not exist", a)
	}
	if a.Err != nil { // the client notices; what it has must be the beginning
		if len(a.Body) > len(want) || s3test.SameBytes(a.Body, want[:len(a.Body)]) != nil {
			return fmt.Errorf("a broken transfer with wrong bytes: %v", a)
		}
		return nil
	}
	if q.method == http.MethodGet {
		if err := s3test.SameBytes(a.Body, want); err != nil {
			return err
		}
	}
	if got := a.Header.Get("Content-Length"); got != fmt.Sprint(len(want)) {
		return fmt.Errorf("Content-Length %q, want %d", got, len(want))
	}
	wantRange := fmt.Sprintf("bytes %d-%d/%d", first, first+len(want)-1, len(body))
	if got := a.Header.Get("Content-Range"); got != "" && got != wantRange || a.Status == 206 && got == "" && len(body) > 0 {
		return fmt.Errorf("status %d with Content-Range %q, want %s", a.Status, got, wantRange)
	}
	return nil
}

func (q question) put(t testing.TB, at lab.S3, bucket string, v victim) s3test.Answer {
	t.Helper()
	c := s3test.Call{Method: q.method, Path: "/" + bucket + "/" + v.key, Query: q.query}
	if q.ask != "" {
		c.Headers = map[string]string{"range": q.ask}
	}
	return c.Do(t, at)
}

// hostilePlace is a bucket with a victim of each shape, and what a hostile store knows of other
// objects.
type hostilePlace struct {
	store   *lab.Store
	hostile *lab.HostileStore
	dir     string
	mode    string
	bucket  string
	victims []victim
	lies    []lie
}

func newHostilePlace(t *testing.T, mode string) *hostilePlace {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	h := &hostilePlace{store: lab.SharedVersitygw(t), mode: mode}
	h.hostile = lab.Hostile(t, h.store)
	first := lab.Proxy(t, lab.ProxyOptions{Upstream: h.store, Args: []string{"--etag", mode}})
	at := first.S3()
	h.dir, h.bucket = first.DataDir, s3test.NewBucket(t, at)
	shapes := map[string][]int{"byte": {1}, "segment": {64 << 10}, "segments": {150_000}}
	if lab.Long {
		shapes["empty"], shapes["large"], shapes["parts"] = []int{0}, []int{3<<20 + 5}, []int{5 << 20, 5 << 20, 70_001}
	}
	for name, parts := range shapes {
		v := victim{key: name, parts: parts}
		for n, size := range parts {
			v.body = append(v.body, s3test.Content(uint64(31+n+len(name)), size)...)
		}
		if len(parts) == 1 {
			s3test.MustPut(t, at, "/"+h.bucket+"/"+name, v.body)
		} else {
			client := s3test.SDK(t, at)
			upload := s3test.Begin(t, client, h.bucket, name)
			var sent []types.CompletedPart
			for rest, n := v.body, 0; n < len(parts); n++ {
				sent = append(sent, upload.Send(client, int32(n+1), rest[:parts[n]]))
				rest = rest[parts[n]:]
			}
			if _, err := upload.Complete(client, sent...); err != nil {
				t.Fatal(err)
			}
		}
		v.etag = s3test.Call{Method: "HEAD", Path: "/" + h.bucket + "/" + name}.Do(t, at).Header.Get("ETag")
		h.victims = append(h.victims, v)
	}
	s3test.MustPut(t, at, "/"+h.bucket+"/other", s3test.Content(99, 150_000))
	other := s3test.RawGet(t, h.store.S3(), "/"+h.bucket+"/other")
	h.lies = append(append(append(bodyLies(), headLies()...), metaLies()...),
		lie{name: "another object", tell: instead(other, true, true)},
		lie{name: "another object's bytes", tell: instead(other, true, false)},
		lie{name: "another object's metadata", tell: instead(other, false, true)})
	return h
}

// about tells a lie about the victims only; the store stays honest about state objects.
func (h *hostilePlace) about(tell lab.Lie) lab.Lie {
	return func(a *lab.Reply) {
		for _, v := range h.victims {
			if a.Request.URL.Path == "/"+h.bucket+"/"+v.key {
				tell(a)
			}
		}
	}
}

func TestAHostileStoreIsNeverBelievedAboutContent(t *testing.T) {
	every := lab.Every(12, 2)
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHostilePlace(t, mode)
			attacks := 0
			for n, l := range h.lies {
				if n%every != 0 {
					continue
				}
				attacks += h.tryLie(t, l)
			}
			t.Logf("%d attacks", attacks)
			if lab.All() && attacks < 1000 {
				t.Errorf("%d attacks changed an answer, want 1,000", attacks)
			}
		})
	}
}

// hurried are the flags of a proxy that does not retry. Retrying after a lie takes seconds, which
// only make test-all has.
func hurried(args ...string) []string {
	if lab.All() {
		return args
	}
	return append(args, "--upstream-attempts", "1")
}

// tryLie asks a proxy with an empty cache, then one that has read the objects honestly.
func (h *hostilePlace) tryLie(t *testing.T, l lie) (attacks int) {
	t.Helper()
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: h.store, UpstreamURL: h.hostile.URL, DataDir: h.dir, Args: hurried("--etag", h.mode)})
	defer func() { proxy.Term(); proxy.Wait(lab.AnswerWithin) }()
	for _, v := range h.victims {
		for n, q := range questions {
			if q.warm && !questions[n-1].warm {
				h.hostile.Tell(nil)
				if got := s3test.Get(t, proxy.S3(), "/"+h.bucket+"/"+v.key); got.Status != 200 || s3test.SameBytes(got.Body, v.body) != nil {
					t.Fatalf("%s, read honestly after %q: %v", v.key, l.name, got)
				}
			}
			h.hostile.Tell(h.about(l.tell))
			got := q.put(t, proxy.S3(), h.bucket, v)
			told := h.hostile.Tell(nil)
			if told > 0 {
				attacks++
			}
			if err := q.judge(v, h.mode, got); err != nil {
				t.Errorf("%s of %s, %s, %d answers changed: %v", q.name, v.key, l.name, told, err)
			}
		}
	}
	if attacks == 0 && !strings.HasPrefix(l.name, "field ") {
		t.Errorf("%s: changed nothing", l.name)
	}
	return attacks
}

// A judge that never objects proves nothing.
func TestTheJudgeOfAHostileStoreSeesWrongAnswers(t *testing.T) {
	body := s3test.Content(1, 150_000)
	v := victim{key: "k", body: body, parts: []int{len(body)}, etag: s3test.MD5ETag(body)}
	good := func(b []byte) s3test.Answer {
		return s3test.Answer{Status: 200, Body: b, Header: http.Header{"Etag": {v.etag}, "Content-Length": {fmt.Sprint(len(b))}}}
	}
	q := question{method: "GET"}
	if err := q.judge(v, lab.ModeMD5, good(body)); err != nil {
		t.Errorf("the right answer: %v", err)
	}
	for name, a := range map[string]s3test.Answer{
		"a flipped bit": good(s3test.Flipped(body, 70_000)), "a byte less": good(body[:len(body)-1]), "a byte more": good(append(s3test.Flipped(body, 0), 0)),
		"a broken transfer of wrong bytes": {Status: 200, Body: s3test.Flipped(body[:100], 3), Err: http.ErrAbortHandler},
		"another ETag":                     {Status: 200, Body: body, Header: http.Header{"Etag": {`"x"`}, "Content-Length": {"150000"}}},
		"a wrong total":                    {Status: 206, Body: body, Header: http.Header{"Etag": {v.etag}, "Content-Length": {"150000"}, "Content-Range": {"bytes 0-149999/150001"}}},
	} {
		if q.judge(v, lab.ModeMD5, a) == nil {
			t.Errorf("%s: the judge does not object", name)
		}
	}
	if (question{method: "HEAD"}).judge(v, lab.ModeOpaque, s3test.Answer{Status: 200, Header: http.Header{"Content-Length": {"149999"}}}) == nil {
		t.Error("the judge accepts a wrong size in HEAD")
	}
}

// The same lies about unencrypted objects succeed: the judge must notice them.
func TestTheLiesOfAHostileStoreWorkWhereNothingIsEncrypted(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	store := lab.SharedVersitygw(t)
	hostile := lab.Hostile(t, store)
	bucket := s3test.NewBucket(t, store.S3())
	settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", bucket))
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: hostile.URL, Args: []string{"--config", settings}})
	v := victim{key: "plain", body: s3test.Content(5, 150_000), parts: []int{150_000}}
	s3test.MustPut(t, proxy.S3(), "/"+bucket+"/plain", v.body)
	for _, l := range bodyLies() {
		hostile.Tell(func(a *lab.Reply) {
			if a.Request.URL.Path == "/"+bucket+"/plain" {
				l.tell(a)
			}
		})
		q := question{name: "GET", method: "GET"}
		got := q.put(t, proxy.S3(), bucket, v)
		if told := hostile.Tell(nil); told > 0 && q.judge(v, lab.ModeOpaque, got) == nil {
			t.Errorf("%s: the judge accepts %v", l.name, got)
		}
	}
}

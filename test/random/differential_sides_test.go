package random

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The sides to which a sequence of calls is sent.
const (
	atStore = iota
	throughMD5
	throughOpaque
	sideCount
)

var sideNames = [sideCount]string{"direct", lab.ModeMD5, lab.ModeOpaque}

// sides are the same store directly and through a proxy in each ETag mode.
type sides struct {
	store string
	at    [sideCount]lab.S3
	seen  *tally
}

func newSides(t *testing.T, store *lab.Store, name string) *sides {
	s := &sides{store: name, seen: &tally{calls: map[string]int{}, differences: map[string]int{}}}
	s.at[atStore] = store.S3()
	for _, i := range []int{throughMD5, throughOpaque} {
		s.at[i] = lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", sideNames[i]}}).S3()
	}
	return s
}

// tally counts the calls, and the wanted differences that occurred.
type tally struct {
	sync.Mutex
	steps              int
	calls, differences map[string]int
}

func (c *tally) step() {
	c.Lock()
	defer c.Unlock()
	c.steps++
}

func (c *tally) add(in map[string]int, name string) {
	c.Lock()
	defer c.Unlock()
	in[name]++
}

func (c *tally) String() string {
	c.Lock()
	defer c.Unlock()
	var b strings.Builder
	sum := 0
	for _, name := range slices.Sorted(maps.Keys(c.calls)) {
		sum += c.calls[name]
		fmt.Fprintf(&b, " %s %d,", name, c.calls[name])
	}
	fmt.Fprintf(&b, " together %d steps and %d calls in each mode;", c.steps, sum)
	for _, name := range slices.Sorted(maps.Keys(c.differences)) {
		fmt.Fprintf(&b, "\n  %d times: %s", c.differences[name], name)
	}
	return b.String()
}

// token is one thing under the name that each side has given it: an ETag, a version, an upload, a
// place in a list.
type token [sideCount]string

// same is a token with the same name on each side.
func same(s string) (all token) {
	for i := range all {
		all[i] = s
	}
	return all
}

// The kinds of tokens.
const (
	anETag    = "ETag"
	aVersion  = "version id"
	anUpload  = "upload id"
	aCursor   = "continuation token"
	nullValue = "null"
)

// sequence is one sequence of calls, in a separate bucket on each side.
type sequence struct {
	*sides
	outer  *testing.T
	t      *rapid.T
	kind   string
	bucket token
	number uint64 // of the last body; no two bodies are equal
	apart  bool   // from here on, the states of the sides differ

	meaning [sideCount]map[string]string // kind and a side's token -> the store's token
	names   [sideCount]map[string]string // kind and the store's token -> the side's token, if there is only one

	keys     []string
	etags    map[string][]token
	versions map[string][]token
	uploads  []*pending
	ended    []*pending
	cursors  map[string][]token // by the kind of list
}

func newSequence(outer *testing.T, t *rapid.T, s *sides, kind string) *sequence {
	q := &sequence{sides: s, outer: outer, t: t, kind: kind, etags: map[string][]token{}, versions: map[string][]token{}, cursors: map[string][]token{}}
	q.keys = rapid.Permutation(sequenceKeys).Draw(t, "keys")[:5]
	base := lab.FreeName("d-" + kind)
	for i := range q.bucket {
		q.meaning[i], q.names[i] = map[string]string{}, map[string]string{}
		q.bucket[i] = base + "-" + sideNames[i]
	}
	create := draft{method: "PUT"}
	if kind == lockedBucket {
		create.head("x-amz-bucket-object-lock-enabled", "true")
	}
	q.send("CreateBucket", true, create)
	if kind == versionedBucket {
		q.setVersioning("Enabled")
	}
	return q
}

// path is the wire form of an object's path; with the key "", of the bucket's.
func (q *sequence) path(side int, key string) string {
	if key == "" {
		return "/" + q.bucket[side]
	}
	return "/" + q.bucket[side] + "/" + s3test.Escape(key, true)
}

// draft is a call before the names of each side are filled in.
type draft struct {
	method, key string // no key: a call on the bucket
	query       []parameter
	headers     map[string]token
	body        []byte
	document    func(side int) string // instead of the body
	stream      string                // the shape of an aws-chunked body
	gone        bool                  // the condition refers to no object, or to a delete marker
}

type parameter struct {
	name  string
	value token
}

func (d *draft) ask(name, value string)         { d.query = append(d.query, parameter{name, same(value)}) }
func (d *draft) askOf(name string, value token) { d.query = append(d.query, parameter{name, value}) }
func (d *draft) head(name, value string)        { d.headOf(name, same(value)) }
func (d *draft) headOf(name string, value token) {
	if d.headers == nil {
		d.headers = map[string]token{}
	}
	d.headers[name] = value
}

func (q *sequence) form(d draft, side int) s3test.Call {
	c := s3test.Call{Method: d.method, Path: q.path(side, d.key), Headers: map[string]string{}, Body: d.body}
	if d.document != nil {
		c.Body = []byte(d.document(side))
		sum := md5.Sum(c.Body)
		c.Headers["content-md5"] = base64.StdEncoding.EncodeToString(sum[:])
	}
	if d.stream != "" {
		c.Body, c.Stream = nil, &s3test.Stream{Shape: d.stream, Body: d.body}
	}
	var query []string
	for _, p := range d.query {
		query = append(query, p.name+s3test.IfAny("=", s3test.Escape(p.value[side], false)))
	}
	c.Query = strings.Join(query, "&")
	for name, value := range d.headers {
		c.Headers[name] = value[side]
	}
	return c
}

// send makes a call on each side, compares the answers, and returns them. changes says that the
// call changes the state if it succeeds.
func (q *sequence) send(name string, changes bool, d draft) (answers [sideCount]s3test.Answer) {
	var calls [sideCount]s3test.Call
	var all sync.WaitGroup
	for i := range calls {
		calls[i] = q.form(d, i)
		all.Go(func() { answers[i] = calls[i].Do(q.outer, q.at[i]) })
	}
	all.Wait()
	q.seen.add(q.seen.calls, name)
	c := calls[atStore]
	q.t.Logf("%s: %s %s?%s %v %s: %v", name, c.Method, c.Path, c.Query, c.Headers, shortBody(c), answers[atStore])
	for i := atStore + 1; i < sideCount; i++ {
		q.compare(comparison{name: name, changes: changes, gone: d.gone, side: i, call: calls[i], direct: answers[atStore], got: answers[i]})
	}
	return answers
}

func shortBody(c s3test.Call) string {
	body := c.Body
	if c.Stream != nil {
		body = c.Stream.Body
	}
	if len(body) < 2000 && len(body) > 0 && body[0] == '<' {
		return string(body)
	}
	return fmt.Sprintf("(%d bytes)", len(body))
}

// header returns, as one token, a header of each side's answer.
func header(answers [sideCount]s3test.Answer, name string) (all token) {
	for i, a := range answers {
		all[i] = a.Header.Get(name)
	}
	return all
}

// means checks that a side's token always stands for the same thing as the store's token.
func (q *sequence) means(side int, kind, direct, got string) error {
	if (direct == "") != (got == "") || (direct == nullValue) != (got == nullValue) {
		return fmt.Errorf("%s %q, direct %q", kind, got, direct)
	}
	if kind == anETag && side == throughMD5 && got != direct {
		return fmt.Errorf("ETag %s, direct %s", got, direct)
	}
	if kind == aCursor {
		return nil
	}
	if before, seen := q.meaning[side][kind+got]; seen && before != direct {
		return fmt.Errorf("%s %q stands for %q, before for %q", kind, got, direct, before)
	}
	q.meaning[side][kind+got] = direct
	if kind == anETag {
		return nil // the same bytes have one MD5, but an opaque ETag for each time they are written
	}
	if before, seen := q.names[side][kind+direct]; seen && before != got {
		return fmt.Errorf("%s %q is %q, before %q", kind, direct, got, before)
	}
	q.names[side][kind+direct] = got
	return nil
}

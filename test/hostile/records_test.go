package hostile

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// recordPlace is a bucket whose objects can be opened only with their window records: the key
// version that wrapped the window keys in their metadata is destroyed. Each object has its own
// window.
type recordPlace struct {
	bucket  string
	records []string          // ids
	body    map[string][]byte // of every record, by path
}

const recordFolder = "/.s3proxy/keys/"

func newRecordPlace(t *testing.T, at lab.S3, objects int) recordPlace {
	t.Helper()
	p := recordPlace{bucket: s3test.NewBucket(t, at), body: map[string][]byte{}}
	for n := range objects {
		s3test.MustPut(t, at, fmt.Sprintf("/%s/object-%d", p.bucket, n), s3test.Content(uint64(n), 1000+n))
	}
	return p
}

// read remembers the records as the store holds them.
func (p *recordPlace) read(t *testing.T, store *lab.Store) {
	t.Helper()
	list := s3test.Call{Method: http.MethodGet, Path: "/" + p.bucket, Query: "list-type=2&prefix=.s3proxy%2Fkeys%2F"}.Do(t, store.S3())
	for _, element := range keyElement.FindAllString(string(list.Body), -1) {
		path := "/" + p.bucket + "/" + between([]byte(element), "<Key>", "</Key>")
		p.records = append(p.records, path)
		p.body[path] = s3test.RawGet(t, store.S3(), path).Body
	}
	slices.Sort(p.records)
}

// recordLies falsify window records. others are records of another place.
func recordLies(p recordPlace, others []lie) (all []lie) {
	all = slices.Concat(bodyLies(), headLies(), others)
	for _, text := range []string{"", "null", "{}", "[]", `{"format":1}`, `{"format":99,"kek":"x","wrapped":""}`, strings.Repeat("{", 100_000), "<Error/>"} {
		all = append(all, lie{name: "a record that says " + text[:min(len(text), 20)], tell: func(a *lab.Reply) { a.SetBody([]byte(text)) }})
	}
	another := func(a *lab.Reply) {
		at := slices.Index(p.records, a.Request.URL.Path)
		a.SetBody(p.body[p.records[(at+1)%len(p.records)]])
	}
	return append(all, lie{name: "another window's record", tell: another})
}

// Whatever a store says of a window record, the window's objects read as they were written, or not
// at all.
func TestTheRecordsOfAHostileStoreOpenNothingElse(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	t.Parallel()
	store := lab.SharedVersitygw(t)
	hostile := lab.Hostile(t, store)
	key := lab.LocalKEK(t)
	args := []string{"--kms", key.URI, "--key-window-objects", "1"}
	writer := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: args})
	step, objects := 7, 24
	if lab.Long {
		step, objects = 1, 130
	}
	place := newRecordPlace(t, writer.S3(), objects)
	elsewhere := newRecordPlace(t, writer.S3(), 1)
	place.read(t, store)
	elsewhere.read(t, store)
	before := recordPlace{body: place.body}
	o := lab.ProxyOptions{Upstream: store, Args: args}
	if log, code := lab.RunKeys(t, o, "rotate", "--new-version", "--settle", "0", "s3://"+place.bucket, "s3://"+elsewhere.bucket); code != 0 {
		t.Fatal(log)
	}
	key.Retire(t)
	place.records, place.body = nil, map[string][]byte{}
	place.read(t, store)
	elsewhere.records = nil
	elsewhere.read(t, store)

	reader := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: hostile.URL, Args: args}).S3()
	lies := recordLies(place, []lie{
		{name: "the record of another bucket", tell: func(a *lab.Reply) { a.SetBody(elsewhere.body[elsewhere.records[0]]) }},
		{name: "the record from before the rotation", tell: func(a *lab.Reply) { a.SetBody(before.body[a.Request.URL.Path]) }},
	})
	attacks, refused, next := 0, 0, 0
	for n := len(lies) - 1; n >= 0; n -= step {
		if next == objects {
			break
		}
		path := fmt.Sprintf("/%s/object-%d", place.bucket, next)
		want := s3test.Content(uint64(next), 1000+next)
		hostile.Tell(when(lies[n], func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/"+place.bucket+recordFolder)
		}))
		got := s3test.Get(t, reader, path)
		told := hostile.Tell(nil)
		if told > 0 {
			attacks++
		}
		if got.Status >= 400 {
			refused++
		}
		if got.Status == 0 || got.Status == 200 && (got.Err != nil || s3test.SameBytes(got.Body, want) != nil) {
			t.Errorf("%s, %d answers changed: %v", lies[n].name, told, got)
		}
		if got := s3test.Get(t, reader, path); got.Status != 200 || s3test.SameBytes(got.Body, want) != nil {
			t.Errorf("honestly, after %s: %v", lies[n].name, got)
		}
		next++
	}
	t.Logf("%d attacks on records: %d refused, %d read right", attacks, refused, attacks-refused)
	if attacks < 10 || refused == 0 {
		t.Errorf("%d lies were told, %d refused", attacks, refused)
	}
}

const anOlderMetadata = "an older version's metadata"

// A store may roll an object back to an older version, as a whole (docs/THREATS.md). It can do
// nothing else to a version that a client names.
func TestAVersionOfAHostileStoreIsOneOfTheObject(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	t.Parallel()
	store := lab.VersitygwForSuite(t)
	hostile := lab.Hostile(t, store)
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			first := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", mode}})
			at := first.S3()
			bucket := s3test.NewBucket(t, at)
			if _, err := s3test.SDK(t, store.S3()).PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
				t.Fatal(err)
			}
			path := "/" + bucket + "/k"
			put := func(path string, body []byte) (id string) {
				got := s3test.Call{Method: http.MethodPut, Path: path, Body: body}.Do(t, at)
				if id = got.Header.Get("X-Amz-Version-Id"); got.Status != 200 || id == "" {
					t.Fatal(got)
				}
				return id
			}
			const size = 150_000
			older, named := s3test.Content(1, size), s3test.Content(2, size)
			put(path, older)
			past := s3test.RawGet(t, store.S3(), path)
			id := put(path, named)
			etag := s3test.Call{Method: http.MethodHead, Path: path}.Do(t, at).Header.Get("ETag")
			put(path, s3test.Content(3, size+9))
			put("/"+bucket+"/other", s3test.Content(4, size))
			other := s3test.RawGet(t, store.S3(), "/"+bucket+"/other")
			lies := append(slices.Concat(bodyLies(), headLies(), metaLies()),
				lie{name: "another object", tell: instead(other, true, true)},
				lie{name: "another object's metadata", tell: instead(other, false, true)},
				lie{name: "an older version's bytes", tell: instead(past, true, false)},
				lie{name: anOlderMetadata, tell: instead(past, false, true)},
				lie{name: "another version's id", tell: func(a *lab.Reply) { a.Header.Set("X-Amz-Version-Id", "01KB8000000000000000000000") }},
				lie{name: "an id that is a path", tell: func(a *lab.Reply) { a.Header.Set("X-Amz-Version-Id", "../../other") }},
				lie{name: anOlderState, tell: instead(past, true, true)})
			v := victim{key: "k", body: named, parts: []int{size}, etag: etag}
			rolled := victim{key: "k", body: older, parts: []int{size}, etag: etag}
			if mode == lab.ModeMD5 {
				rolled.etag = s3test.MD5ETag(older)
			}
			step := lab.Every(40, 8)
			attacks, refused, back := 0, 0, 0
			for n := len(lies) - 1; n >= 0; n -= step {
				l := lies[n]
				reader := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: hostile.URL, DataDir: first.DataDir, Args: []string{"--etag", mode}})
				for _, q := range questions[:9] {
					if q.query != "" {
						q.query += "&"
					}
					q.query += "versionId=" + id
					hostile.Tell(when(l, func(r *http.Request) bool { return r.URL.Path == path && isRead(r) }))
					got := q.put(t, reader.S3(), bucket, v)
					told := hostile.Tell(nil)
					if told > 0 {
						attacks++
					}
					if got.Status >= 400 || got.Status == 0 || got.Err != nil {
						refused++
						continue
					}
					err := q.judge(v, mode, got)
					// A HEAD shows only the metadata of an older version.
					older := l.name == anOlderState || q.method == http.MethodHead && l.name == anOlderMetadata
					if err != nil && older && q.judge(rolled, mode, got) == nil {
						back++
						err = nil
					}
					if err != nil {
						t.Errorf("%s, %s, %d answers changed: %v", q.name, l.name, told, err)
					}
				}
				reader.Term()
				reader.Wait(lab.AnswerWithin)
			}
			t.Logf("%d attacks on a version: %d refused, %d rolled back whole", attacks, refused, back)
			if attacks == 0 {
				t.Error("no lie was told")
			}
		})
	}
}

package attacks

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// tamperPositions are about 60 places in a stored object: the IV, ciphertext and tag of each
// segment, then the trailer.
func tamperPositions(stored int) []int {
	var at []int
	for start := 0; start < s3test.TamperSize+4*28; start += s3test.StoredSegment {
		end := min(start+s3test.StoredSegment, s3test.TamperSize+4*28)
		at = append(at, start, start+11, start+12, start+13, (start+end)/2, end-17, end-16, end-8, end-1)
	}
	body := s3test.TamperSize + 4*28
	for p := body; p < stored; p += (stored - body) / 20 {
		at = append(at, p)
	}
	for p := stored - 12; p < stored; p++ {
		at = append(at, p)
	}
	if lab.Long {
		for p := 0; p < stored; p += 97 {
			at = append(at, p)
		}
	}
	return at
}

func TestOneFlippedBitInTheBodyIsNeverServed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		path := "/" + bucket + "/object"
		plaintext := s3test.Content(11, s3test.TamperSize)
		s3test.MustPut(t, at.S3, path, plaintext)
		store := s3test.Operator(t, at, bucket)
		whole := s3test.RawGet(t, store, path)
		for _, position := range tamperPositions(len(whole.Body)) {
			s3test.RawPut(t, store, path, s3test.Stored{Body: s3test.Flipped(whole.Body, position), Meta: whole.Meta})
			segment := min(position/s3test.StoredSegment, 3)
			got := s3test.Get(t, at.S3, path)
			if err := s3test.OnlyWholeGoodSegments(got, plaintext, segment); err != nil {
				t.Errorf("bit flipped at %d of %d: %v", position, len(whole.Body), err)
			}
			if position >= s3test.TamperSize+4*28 {
				continue
			}
			// A range within the damaged segment returns none of it.
			first := segment * 64 << 10
			got = s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"range": fmt.Sprintf("bytes=%d-%d", first+5, first+10)}}.Do(t, at.S3)
			if got.Status < 400 && (got.Err == nil || len(got.Body) > 0) {
				t.Errorf("bit flipped at %d, range within the segment: %v", position, got)
			}
		}
		s3test.RawPut(t, store, path, whole)
		if got := s3test.Get(t, at.S3, path); s3test.SameBytes(got.Body, plaintext) != nil {
			t.Errorf("put back as it was: %v", got)
		}
	})
}

func TestOneChangedCharacterInTheMetadataIsNeverServed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		path := "/" + bucket + "/object"
		s3test.MustPut(t, at.S3, path, s3test.Content(12, s3test.TamperSize))
		store := s3test.Operator(t, at, bucket)
		whole := s3test.RawGet(t, store, path)
		ours := 0
		for _, name := range slices.Sorted(maps.Keys(whole.Meta)) {
			if !strings.HasPrefix(name, "s3proxy-") {
				continue
			}
			ours++
			value := whole.Meta[name]
			changed := map[string]s3test.Stored{
				name + " left out":  whole.Without(name),
				name + " empty":     whole.With(name, ""),
				name + " longer":    whole.With(name, value+"A"),
				name + " renamed":   whole.Without(name).With(name+"x", value),
				name + " one short": whole.With(name, value[:len(value)-1]),
			}
			for position := 0; position < len(value); position += max(1, len(value)/8) {
				other := byte('A')
				if value[position] == other {
					other = 'B'
				}
				changed[fmt.Sprintf("%s changed at %d", name, position)] = whole.With(name, value[:position]+string(other)+value[position+1:])
			}
			for what, object := range changed {
				s3test.RawPut(t, store, path, object)
				if got := s3test.Get(t, at.S3, path); got.Status < 400 {
					t.Errorf("%s: %v", what, got)
				}
			}
		}
		if ours < 5 {
			t.Errorf("the object has %d fields of the proxy's: %v", ours, whole.Meta)
		}
		s3test.RawPut(t, store, path, whole.With("s3proxy-new", "A"))
		if got := s3test.Get(t, at.S3, path); got.Status < 400 {
			t.Errorf("a field that is in no format: %v", got)
		}
		s3test.RawPut(t, store, path, whole)
		if got := s3test.Get(t, at.S3, path); got.Status != 200 {
			t.Errorf("put back as it was: %v", got)
		}
	})
}

func TestStoredObjectsCannotBeMovedMixedOrCut(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, other := s3test.NewBucket(t, at.S3), s3test.NewBucket(t, at.S3)
		first, second := s3test.Content(13, s3test.TamperSize), s3test.Content(14, s3test.TamperSize)
		s3test.MustPut(t, at.S3, "/"+bucket+"/first", first)
		s3test.MustPut(t, at.S3, "/"+bucket+"/second", second)
		s3test.MustPut(t, at.S3, "/"+other+"/has-its-own-window", first)
		store := s3test.Operator(t, at, bucket)
		a, b := s3test.RawGet(t, store, "/"+bucket+"/first"), s3test.RawGet(t, store, "/"+bucket+"/second")
		n := len(a.Body)
		cut := func(from, to int) []byte { return append(slices.Clone(a.Body[:from]), a.Body[to:]...) }
		swapped := slices.Concat(a.Body[s3test.StoredSegment:2*s3test.StoredSegment], a.Body[:s3test.StoredSegment], a.Body[2*s3test.StoredSegment:])
		withDEKOf := func(name string) s3test.Stored { return a.With(name, b.Meta[name]) }

		for what, move := range map[string]struct {
			path   string
			object s3test.Stored
		}{
			"moved to another key":             {"/" + bucket + "/third", a},
			"moved over another object":        {"/" + bucket + "/second", a},
			"moved to another bucket":          {"/" + other + "/first", a},
			"body of another object":           {"/" + bucket + "/first", s3test.Stored{Body: b.Body, Meta: a.Meta}},
			"metadata of another object":       {"/" + bucket + "/first", s3test.Stored{Body: a.Body, Meta: b.Meta}},
			"data key of another object":       {"/" + bucket + "/first", withDEKOf("s3proxy-dek")},
			"commitment of another object":     {"/" + bucket + "/first", withDEKOf("s3proxy-commit")},
			"facts of another object":          {"/" + bucket + "/first", withDEKOf("s3proxy-facts")},
			"trailer of another object":        {"/" + bucket + "/first", s3test.Stored{Body: append(slices.Clone(a.Body[:s3test.TamperSize+4*28]), b.Body[s3test.TamperSize+4*28:]...), Meta: a.Meta}},
			"a segment of another object":      {"/" + bucket + "/first", s3test.Stored{Body: append(slices.Clone(b.Body[:s3test.StoredSegment]), a.Body[s3test.StoredSegment:]...), Meta: a.Meta}},
			"segments swapped":                 {"/" + bucket + "/first", s3test.Stored{Body: swapped, Meta: a.Meta}},
			"first segment dropped":            {"/" + bucket + "/first", s3test.Stored{Body: cut(0, s3test.StoredSegment), Meta: a.Meta}},
			"middle segment dropped":           {"/" + bucket + "/first", s3test.Stored{Body: cut(s3test.StoredSegment, 2*s3test.StoredSegment), Meta: a.Meta}},
			"last segment dropped":             {"/" + bucket + "/first", s3test.Stored{Body: cut(3*s3test.StoredSegment, s3test.TamperSize+4*28), Meta: a.Meta}},
			"trailer dropped":                  {"/" + bucket + "/first", s3test.Stored{Body: cut(s3test.TamperSize+4*28, n), Meta: a.Meta}},
			"cut at a segment":                 {"/" + bucket + "/first", s3test.Stored{Body: cut(2*s3test.StoredSegment, n), Meta: a.Meta}},
			"cut in a segment":                 {"/" + bucket + "/first", s3test.Stored{Body: cut(s3test.StoredSegment+100, n), Meta: a.Meta}},
			"last byte dropped":                {"/" + bucket + "/first", s3test.Stored{Body: cut(n-1, n), Meta: a.Meta}},
			"one byte more":                    {"/" + bucket + "/first", s3test.Stored{Body: append(slices.Clone(a.Body), 0), Meta: a.Meta}},
			"twice":                            {"/" + bucket + "/first", s3test.Stored{Body: append(slices.Clone(a.Body), a.Body...), Meta: a.Meta}},
			"no bytes at all":                  {"/" + bucket + "/first", s3test.Stored{Body: nil, Meta: a.Meta}},
			"called multipart":                 {"/" + bucket + "/first", a.With("s3proxy-kind", "multipart")},
			"called empty":                     {"/" + bucket + "/first", a.With("s3proxy-kind", "empty")},
			"called empty and with no bytes":   {"/" + bucket + "/first", s3test.Stored{Body: nil, Meta: a.With("s3proxy-kind", "empty").Meta}},
			"of a format that is not there":    {"/" + bucket + "/first", a.With("s3proxy-format", "2")},
			"plaintext under its own metadata": {"/" + bucket + "/first", s3test.Stored{Body: first, Meta: a.Meta}},
		} {
			s3test.RawPut(t, store, move.path, move.object)
			got := s3test.Get(t, at.S3, move.path)
			if got.Status < 400 && got.Err == nil {
				t.Errorf("%s: %v", what, got)
			}
			if got.Status < 400 && !strings.HasPrefix(string(first), string(got.Body)) {
				t.Errorf("%s: what came is not the beginning of the object", what)
			}
			s3test.RawPut(t, store, "/"+bucket+"/first", a)
			s3test.RawPut(t, store, "/"+bucket+"/second", b)
		}
		if got := s3test.Get(t, at.S3, "/"+bucket+"/first"); s3test.SameBytes(got.Body, first) != nil {
			t.Errorf("put back as it was: %v", got)
		}
	})
}

func TestAnUnknownFormatIsNamed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		path := "/" + bucket + "/object"
		s3test.MustPut(t, at.S3, path, []byte("of today's format"))
		store := s3test.Operator(t, at, bucket)
		s3test.RawPut(t, store, path, s3test.RawGet(t, store, path).With("s3proxy-format", "7"))
		got := s3test.Get(t, at.S3, path)
		if got.Status < 400 || !strings.Contains(got.Text, "format") || !strings.Contains(got.Text, "7") {
			t.Errorf("the answer is %v, want one that names format 7", got)
		}
	})
}

// A store that can inject plaintext could forge any content.
func TestPlaintextInTheStoreIsRefusedUnlessAllowed(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := lab.Open(t, name)
			bucket := s3test.NewBucket(t, at.S3)
			path := "/" + bucket + "/plain"
			plain := s3test.Content(15, 100_000)
			s3test.RawPut(t, at.Store.S3(), path, s3test.Stored{Body: plain, Meta: map[string]string{"colour": "blue"}})
			for _, c := range []s3test.Call{
				{Method: http.MethodGet, Path: path},
				{Method: http.MethodGet, Path: path, Headers: map[string]string{"range": "bytes=0-9"}},
			} {
				got := c.Do(t, at.S3)
				if got.Status < 400 || !strings.Contains(got.Text, "allow-plaintext-reads") {
					t.Errorf("the answer is %v, want one that names --allow-plaintext-reads", got)
				}
			}
			if got := (s3test.Call{Method: http.MethodHead, Path: path}).Do(t, at.S3); got.Status < 400 {
				t.Errorf("HEAD: %v", got)
			}
			allowing := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--allow-plaintext-reads"}}).S3()
			got := s3test.Get(t, allowing, path)
			if err := s3test.SameBytes(got.Body, plain); got.Status != 200 || err != nil {
				t.Errorf("with --allow-plaintext-reads: %v %v", got, err)
			}
			if got.Header.Get("X-Amz-Meta-Colour") != "blue" {
				t.Errorf("with --allow-plaintext-reads: headers %v", got.Header)
			}
			got = s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"range": "bytes=65530-65540"}}.Do(t, allowing)
			if got.Status != 206 || s3test.SameBytes(got.Body, plain[65530:65541]) != nil {
				t.Errorf("a range with --allow-plaintext-reads: %v", got)
			}
			sdkList := s3test.SDKClient{Client: s3test.SDK(t, allowing), Bucket: bucket}
			found, _, err := sdkList.List(t.Context(), true, "", "")
			if err != nil || found["plain"] != int64(len(plain)) {
				t.Errorf("a listing with --allow-plaintext-reads: %v %v", found, err)
			}
			s3test.MustPut(t, allowing, path, plain)
			if raw := s3test.RawGet(t, at.Store.S3(), path); s3test.SameBytes(raw.Body, plain) == nil {
				t.Error("the proxy that may read plaintext also wrote it")
			}
		})
	}
}

// Clients never see what the proxy adds to an object, and what it stores never looks like what the
// client sent.
func TestTheProxysMetadataIsHiddenFromClients(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		path := "/" + bucket + "/object"
		body := s3test.Content(16, 1000)
		s3test.MustPut(t, at.S3, path, body)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for name := range (s3test.Call{Method: method, Path: path}).Do(t, at.S3).Header {
				if strings.Contains(strings.ToLower(name), "s3proxy") {
					t.Errorf("%s shows %s", method, name)
				}
			}
		}
		raw := s3test.RawGet(t, s3test.Operator(t, at, bucket), path)
		total := 0
		for name, value := range raw.Meta {
			if strings.HasPrefix(name, "s3proxy-") {
				total += len(name) + len(value)
			}
			if strings.Contains(value, s3test.CRC32Of(body)) || strings.Contains(value, s3test.MD5Of(body)) || strings.Contains(value, base64.RawURLEncoding.EncodeToString([]byte(s3test.CRC32Of(body)))) {
				t.Errorf("%s has a checksum of the plaintext", name)
			}
		}
		if total == 0 || total > 700 {
			t.Errorf("the proxy's metadata is %d bytes, want up to 700", total)
		}
	})
}

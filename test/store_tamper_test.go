package test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// tamperPositions are about 60 places in a stored object: in each segment its
// IV, its ciphertext and its tag, then the trailer.
func tamperPositions(stored int) []int {
	var at []int
	for start := 0; start < tamperSize+4*28; start += storedSegment {
		end := min(start+storedSegment, tamperSize+4*28)
		at = append(at, start, start+11, start+12, start+13, (start+end)/2, end-17, end-16, end-8, end-1)
	}
	body := tamperSize + 4*28
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
		bucket := newBucket(t, at.S3)
		path := "/" + bucket + "/object"
		plaintext := content(11, tamperSize)
		mustPut(t, at.S3, path, plaintext)
		store := operator(t, at, bucket)
		whole := rawGet(t, store, path)
		for _, position := range tamperPositions(len(whole.body)) {
			rawPut(t, store, path, stored{body: flipped(whole.body, position), meta: whole.meta})
			segment := min(position/storedSegment, 3)
			got := get(t, at.S3, path)
			if err := onlyWholeGoodSegments(got, plaintext, segment); err != nil {
				t.Errorf("bit flipped at %d of %d: %v", position, len(whole.body), err)
			}
			if position >= tamperSize+4*28 {
				continue
			}
			// A range within the damaged segment gives nothing of it.
			first := segment * 64 << 10
			got = call{method: http.MethodGet, path: path, headers: map[string]string{"range": fmt.Sprintf("bytes=%d-%d", first+5, first+10)}}.do(t, at.S3)
			if got.status < 400 && (got.err == nil || len(got.body) > 0) {
				t.Errorf("bit flipped at %d, range within the segment: %v", position, got)
			}
		}
		rawPut(t, store, path, whole)
		if got := get(t, at.S3, path); sameBytes(got.body, plaintext) != nil {
			t.Errorf("put back as it was: %v", got)
		}
	})
}

func TestOneChangedCharacterInTheMetadataIsNeverServed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		path := "/" + bucket + "/object"
		mustPut(t, at.S3, path, content(12, tamperSize))
		store := operator(t, at, bucket)
		whole := rawGet(t, store, path)
		ours := 0
		for _, name := range slices.Sorted(maps.Keys(whole.meta)) {
			if !strings.HasPrefix(name, "s3proxy-") {
				continue
			}
			ours++
			value := whole.meta[name]
			changed := map[string]stored{
				name + " left out":  whole.without(name),
				name + " empty":     whole.with(name, ""),
				name + " longer":    whole.with(name, value+"A"),
				name + " renamed":   whole.without(name).with(name+"x", value),
				name + " one short": whole.with(name, value[:len(value)-1]),
			}
			for position := 0; position < len(value); position += max(1, len(value)/8) {
				other := byte('A')
				if value[position] == other {
					other = 'B'
				}
				changed[fmt.Sprintf("%s changed at %d", name, position)] = whole.with(name, value[:position]+string(other)+value[position+1:])
			}
			for what, object := range changed {
				rawPut(t, store, path, object)
				if got := get(t, at.S3, path); got.status < 400 {
					t.Errorf("%s: %v", what, got)
				}
			}
		}
		if ours < 5 {
			t.Errorf("the object has %d fields of the proxy's: %v", ours, whole.meta)
		}
		rawPut(t, store, path, whole.with("s3proxy-new", "A"))
		if got := get(t, at.S3, path); got.status < 400 {
			t.Errorf("a field that no format knows: %v", got)
		}
		rawPut(t, store, path, whole)
		if got := get(t, at.S3, path); got.status != 200 {
			t.Errorf("put back as it was: %v", got)
		}
	})
}

func TestStoredObjectsCannotBeMovedMixedOrCut(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, other := newBucket(t, at.S3), newBucket(t, at.S3)
		first, second := content(13, tamperSize), content(14, tamperSize)
		mustPut(t, at.S3, "/"+bucket+"/first", first)
		mustPut(t, at.S3, "/"+bucket+"/second", second)
		mustPut(t, at.S3, "/"+other+"/has-its-own-window", first)
		store := operator(t, at, bucket)
		a, b := rawGet(t, store, "/"+bucket+"/first"), rawGet(t, store, "/"+bucket+"/second")
		n := len(a.body)
		cut := func(from, to int) []byte { return append(slices.Clone(a.body[:from]), a.body[to:]...) }
		swapped := slices.Concat(a.body[storedSegment:2*storedSegment], a.body[:storedSegment], a.body[2*storedSegment:])
		withDEKOf := func(name string) stored { return a.with(name, b.meta[name]) }

		for what, move := range map[string]struct {
			path   string
			object stored
		}{
			"moved to another key":             {"/" + bucket + "/third", a},
			"moved over another object":        {"/" + bucket + "/second", a},
			"moved to another bucket":          {"/" + other + "/first", a},
			"body of another object":           {"/" + bucket + "/first", stored{b.body, a.meta}},
			"metadata of another object":       {"/" + bucket + "/first", stored{a.body, b.meta}},
			"data key of another object":       {"/" + bucket + "/first", withDEKOf("s3proxy-dek")},
			"commitment of another object":     {"/" + bucket + "/first", withDEKOf("s3proxy-commit")},
			"facts of another object":          {"/" + bucket + "/first", withDEKOf("s3proxy-facts")},
			"trailer of another object":        {"/" + bucket + "/first", stored{append(slices.Clone(a.body[:tamperSize+4*28]), b.body[tamperSize+4*28:]...), a.meta}},
			"a segment of another object":      {"/" + bucket + "/first", stored{append(slices.Clone(b.body[:storedSegment]), a.body[storedSegment:]...), a.meta}},
			"segments swapped":                 {"/" + bucket + "/first", stored{swapped, a.meta}},
			"first segment dropped":            {"/" + bucket + "/first", stored{cut(0, storedSegment), a.meta}},
			"middle segment dropped":           {"/" + bucket + "/first", stored{cut(storedSegment, 2*storedSegment), a.meta}},
			"last segment dropped":             {"/" + bucket + "/first", stored{cut(3*storedSegment, tamperSize+4*28), a.meta}},
			"trailer dropped":                  {"/" + bucket + "/first", stored{cut(tamperSize+4*28, n), a.meta}},
			"cut at a segment":                 {"/" + bucket + "/first", stored{cut(2*storedSegment, n), a.meta}},
			"cut in a segment":                 {"/" + bucket + "/first", stored{cut(storedSegment+100, n), a.meta}},
			"last byte dropped":                {"/" + bucket + "/first", stored{cut(n-1, n), a.meta}},
			"one byte more":                    {"/" + bucket + "/first", stored{append(slices.Clone(a.body), 0), a.meta}},
			"twice":                            {"/" + bucket + "/first", stored{append(slices.Clone(a.body), a.body...), a.meta}},
			"no bytes at all":                  {"/" + bucket + "/first", stored{nil, a.meta}},
			"called multipart":                 {"/" + bucket + "/first", a.with("s3proxy-kind", "multipart")},
			"called empty":                     {"/" + bucket + "/first", a.with("s3proxy-kind", "empty")},
			"called empty and with no bytes":   {"/" + bucket + "/first", stored{nil, a.with("s3proxy-kind", "empty").meta}},
			"of a format that is not there":    {"/" + bucket + "/first", a.with("s3proxy-format", "2")},
			"plaintext under its own metadata": {"/" + bucket + "/first", stored{first, a.meta}},
		} {
			rawPut(t, store, move.path, move.object)
			got := get(t, at.S3, move.path)
			if got.status < 400 && got.err == nil {
				t.Errorf("%s: %v", what, got)
			}
			if got.status < 400 && !strings.HasPrefix(string(first), string(got.body)) {
				t.Errorf("%s: what came is not how the object begins", what)
			}
			rawPut(t, store, "/"+bucket+"/first", a)
			rawPut(t, store, "/"+bucket+"/second", b)
		}
		if got := get(t, at.S3, "/"+bucket+"/first"); sameBytes(got.body, first) != nil {
			t.Errorf("put back as it was: %v", got)
		}
	})
}

func TestAnUnknownFormatIsNamed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		path := "/" + bucket + "/object"
		mustPut(t, at.S3, path, []byte("of today's format"))
		store := operator(t, at, bucket)
		rawPut(t, store, path, rawGet(t, store, path).with("s3proxy-format", "7"))
		got := get(t, at.S3, path)
		if got.status < 400 || !strings.Contains(got.text, "format") || !strings.Contains(got.text, "7") {
			t.Errorf("the answer is %v, want one that names format 7", got)
		}
	})
}

// A store that may inject plaintext could forge any content.
func TestPlaintextInTheStoreIsRefusedUnlessAllowed(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := lab.Open(t, name)
			bucket := newBucket(t, at.S3)
			path := "/" + bucket + "/plain"
			plain := content(15, 100_000)
			rawPut(t, at.Store.S3(), path, stored{body: plain, meta: map[string]string{"colour": "blue"}})
			for _, c := range []call{
				{method: http.MethodGet, path: path},
				{method: http.MethodGet, path: path, headers: map[string]string{"range": "bytes=0-9"}},
			} {
				got := c.do(t, at.S3)
				if got.status < 400 || !strings.Contains(got.text, "allow-plaintext-reads") {
					t.Errorf("the answer is %v, want one that names --allow-plaintext-reads", got)
				}
			}
			if got := (call{method: http.MethodHead, path: path}).do(t, at.S3); got.status < 400 {
				t.Errorf("HEAD: %v", got)
			}
			allowing := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--allow-plaintext-reads"}}).S3()
			got := get(t, allowing, path)
			if err := sameBytes(got.body, plain); got.status != 200 || err != nil {
				t.Errorf("where it is allowed: %v %v", got, err)
			}
			if got.header.Get("X-Amz-Meta-Colour") != "blue" {
				t.Errorf("where it is allowed: headers %v", got.header)
			}
			got = call{method: http.MethodGet, path: path, headers: map[string]string{"range": "bytes=65530-65540"}}.do(t, allowing)
			if got.status != 206 || sameBytes(got.body, plain[65530:65541]) != nil {
				t.Errorf("a range where it is allowed: %v", got)
			}
			sdkList := sdkClient{sdk(t, allowing), bucket}
			found, _, err := sdkList.list(t.Context(), true, "", "")
			if err != nil || found["plain"] != int64(len(plain)) {
				t.Errorf("a listing where it is allowed: %v %v", found, err)
			}
			mustPut(t, allowing, path, plain)
			if raw := rawGet(t, at.Store.S3(), path); sameBytes(raw.body, plain) == nil {
				t.Error("where plaintext may be read it was also written")
			}
		})
	}
}

// What the proxy adds to an object never shows, and what it stores never looks
// like what the client sent.
func TestTheProxysMetadataIsHiddenFromClients(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		path := "/" + bucket + "/object"
		body := content(16, 1000)
		mustPut(t, at.S3, path, body)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for name := range (call{method: method, path: path}).do(t, at.S3).header {
				if strings.Contains(strings.ToLower(name), "s3proxy") {
					t.Errorf("%s shows %s", method, name)
				}
			}
		}
		raw := rawGet(t, operator(t, at, bucket), path)
		total := 0
		for name, value := range raw.meta {
			if strings.HasPrefix(name, "s3proxy-") {
				total += len(name) + len(value)
			}
			if strings.Contains(value, crc32Of(body)) || strings.Contains(value, md5Of(body)) || strings.Contains(value, base64.RawURLEncoding.EncodeToString([]byte(crc32Of(body)))) {
				t.Errorf("%s has a checksum of the plaintext", name)
			}
		}
		if total == 0 || total > 700 {
			t.Errorf("the proxy's metadata is %d bytes, want up to 700", total)
		}
	})
}

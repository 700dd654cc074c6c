package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"testing"
)

// seeds calls pick for each vector and fails if that adds too few seeds: a fuzz target without
// seeds still runs, but finds nothing.
func seeds(f *testing.F, least int, pick func(v vector)) {
	f.Helper()
	before := seedCount
	for _, v := range loadVectors(f) {
		pick(v)
	}
	if got := seedCount - before; got < least {
		f.Fatalf("%d seeds, expected at least %d", got, least)
	}
}

var seedCount int

func add(f *testing.F, args ...any) { seedCount++; f.Add(args...) }

func fuzzDEK(t testing.TB) *DEK {
	d, err := DEKFromBytes(make([]byte, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// FuzzParseMetadata: metadata that parses must encode to the same fields.
func FuzzParseMetadata(f *testing.F) {
	seeds(f, 100, func(v vector) {
		if v.what != "record" {
			b, _ := json.Marshal(v.meta)
			add(f, b)
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		var fields map[string]string
		if json.Unmarshal(b, &fields) != nil {
			return
		}
		m, err := ParseMetadata(fields)
		if err != nil {
			if class(err) == "" {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(fields, func(name, _ string) bool { return len(name) < 8 || name[:8] != MetadataPrefix })
		if !maps.Equal(fields, again) {
			t.Fatalf("%v became %v", fields, again)
		}
	})
}

// FuzzTrailerPlaintexts: a table or summary that parses must encode to the same bytes. It fuzzes
// the plaintexts, because a fuzzer cannot find keys.
func FuzzTrailerPlaintexts(f *testing.F) {
	seeds(f, 50, func(v vector) {
		if dek, err := DEKFromBytes(v.dek); err == nil && v.what == "object" && len(v.body) > 0 {
			n, _ := PlainSize(v.stored)
			trailer := v.body[max(0, int64(len(v.body))-maxTrailer(n)):]
			if t, err := dek.OpenTrailer(kindOf(v), v.stored, trailer); err == nil {
				add(f, byte(t.Kind), must(t.encodeTable(int(t.length())-trailerEnd-SegmentOverhead)), t.encodeSummary(100, [16]byte{}))
			} else if len(trailer) >= trailerEnd {
				add(f, byte(kindOf(v)), trailer[:len(trailer)-trailerEnd], trailer[len(trailer)-trailerEnd:][:summarySize])
			}
		}
	})
	f.Fuzz(func(t *testing.T, k byte, table, end []byte) {
		if s, err := parseSummary(end); err == nil {
			again := Trailer{Size: s.size, Facts: s.facts, UploadHash: s.uploadHash, Parts: make([]Part, min(s.partCount, MaxParts))}
			if got := again.encodeSummary(int(s.tableLength), s.tableTag); s.partCount <= MaxParts && !bytes.Equal(got, end) {
				t.Fatalf("summary %x became %x", end, got)
			}
		}
		if len(table) < 4 {
			return
		}
		count := int(min(uint32(table[0])<<24|uint32(table[1])<<16|uint32(table[2])<<8|uint32(table[3]), MaxParts+1))
		parts, err := parseTable(table, count)
		if err != nil {
			return
		}
		trailer := Trailer{Kind: Kind(k), Parts: parts}
		if _, err := checkParts(trailer.Kind, parts); err != nil {
			return
		}
		if got := must(trailer.encodeTable(len(table))); !bytes.Equal(got, table) {
			t.Fatalf("table %x became %x", table, got)
		}
	})
}

func kindOf(v vector) Kind { k, _ := parseKind(v.meta["s3proxy-kind"]); return k }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// FuzzOpenTrailer: arbitrary bytes never open, and the error always has a class.
func FuzzOpenTrailer(f *testing.F) {
	seeds(f, 50, func(v vector) {
		if v.what == "object" {
			add(f, byte(kindOf(v)), v.stored, v.body[max(0, len(v.body)-1000):])
		}
	})
	d := fuzzDEK(f)
	f.Fuzz(func(t *testing.T, k byte, stored int64, suffix []byte) {
		if _, err := d.OpenTrailer(Kind(k), stored, suffix); class(err) == "ok" || class(err) == "" {
			t.Fatalf("got %v", err)
		}
	})
}

// FuzzOpenFacts covers the sealed facts and their plaintext.
func FuzzOpenFacts(f *testing.F) {
	seeds(f, 50, func(v vector) {
		if raw, err := coding.DecodeString(v.meta["s3proxy-facts"]); err == nil && len(raw) > SegmentOverhead {
			add(f, raw)
			if dek, err := DEKFromBytes(v.dek); err == nil {
				if plain, err := dek.open(raw, sealedAAD(kindOf(v), tagFacts)); err == nil {
					add(f, plain)
				}
			}
		}
	})
	d := fuzzDEK(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := d.OpenFacts(KindSingle, 0, b); !errors.Is(err, ErrTampered) {
			t.Fatalf("sealed: %v", err)
		}
		for _, k := range []Kind{KindSingle, KindMultipart, KindEmpty} {
			size, facts, err := parseFacts(k, b)
			if err != nil {
				continue
			}
			if got := must(encodeFacts(k, size, facts)); !bytes.Equal(got, b) {
				t.Fatalf("facts %x of kind %s became %x", b, k, got)
			}
		}
	})
}

// FuzzOpenRecord covers names and the plaintext sealed in them.
func FuzzOpenRecord(f *testing.F) {
	seeds(f, 15, func(v vector) {
		if v.what == "record" {
			dek := must(DEKFromBytes(v.dek))
			plain := []byte{1, 'e'}
			if r, err := dek.OpenRecord(UploadHash(v.upload), v.record); err == nil {
				plain = r.encode()
			}
			add(f, v.record, plain)
		}
	})
	d := fuzzDEK(f)
	f.Fuzz(func(t *testing.T, name string, plain []byte) {
		if _, err := d.OpenRecord([16]byte{}, name); !errors.Is(err, ErrTampered) && !errors.Is(err, ErrMetadata) {
			t.Fatalf("name %q: %v", name, err)
		}
		r, err := parseRecord(plain, 1)
		if err != nil {
			return
		}
		if got := r.encode(); !bytes.Equal(got, plain) {
			t.Fatalf("record %x became %x", plain, got)
		}
	})
}

// FuzzOpenObject: if the store knows nothing of the key, then whatever it sends, no plaintext
// comes out, neither of the whole object nor of a range.
func FuzzOpenObject(f *testing.F) {
	seeds(f, 50, func(v vector) {
		if v.what != "record" && len(v.body) < 4000 {
			add(f, byte(kindOf(v)), v.stored, int64(0), int64(1), v.body)
		}
	})
	d := fuzzDEK(f)
	f.Fuzz(func(t *testing.T, k byte, stored, offset, length int64, body []byte) {
		n, ok := PlainSize(stored)
		if !ok {
			n = int64(len(body))
		}
		l := SingleLayout(n)
		var want *Trailer
		if Kind(k) == KindMultipart {
			want = &Trailer{Kind: KindMultipart, Size: n, Parts: []Part{{Number: 1, Size: n}}}
			l = MultipartLayout(want.Parts)
		}
		for _, o := range []*OpenReader{
			d.OpenObject(Kind(k), l, stored, want, bytes.NewReader(body)),
			d.Open(Kind(k), l, l.Span(offset, length), bytes.NewReader(body)),
		} {
			got, err := io.ReadAll(o)
			empty := Kind(k) == KindEmpty && stored == 0 && len(body) == 0
			if len(got) > 0 || (err == nil) != empty && class(err) != "layout" || err != nil && class(err) == "" {
				t.Fatalf("released %d bytes, %v", len(got), err)
			}
		}
	})
}

func FuzzPlainSize(f *testing.F) {
	seeds(f, 50, func(v vector) { add(f, v.stored) })
	f.Fuzz(func(t *testing.T, stored int64) {
		n, ok := PlainSize(stored)
		if ok != (StoredSize(n) == stored) && n != 0 {
			t.Fatalf("PlainSize(%d) = %d, %v", stored, n, ok)
		}
		if size := StoredSize(stored); size >= 0 {
			if n, ok := PlainSize(size); !ok || n != stored {
				t.Fatalf("PlainSize(StoredSize(%d)) = %d, %v", stored, n, ok)
			}
		}
	})
}

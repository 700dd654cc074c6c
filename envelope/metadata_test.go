package envelope

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func goodMetadata() *Metadata {
	return &Metadata{Kind: KindSingle, KEK: "localfile:#1", Window: make([]byte, 60), DEK: make([]byte, 60), Facts: make([]byte, 40)}
}

func TestMetadataOfOtherNamesIsPassedOver(t *testing.T) {
	fields, err := goodMetadata().Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := maps.Clone(fields)
	with["colour"], with["s3proxy"], with["x-s3proxy-kind"] = "red", "a", "b"
	m, err := ParseMetadata(with)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Encode()
	if err != nil || !maps.Equal(again, fields) {
		t.Errorf("%v, %v", again, err)
	}
}

func TestTheLongestMetadataThatKeysNeedFits(t *testing.T) {
	m := goodMetadata()
	// An AWS ARN with room for an alias, a KMS ciphertext blob, and all facts.
	m.KEK = "awskms:///arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
	m.Window = make([]byte, 184)
	m.Facts = make([]byte, SegmentOverhead+9+1+md5Size+2+SHA256.Size())
	if fields, err := m.Encode(); err != nil {
		t.Errorf("MD5 and SHA256: %v", err)
	} else {
		t.Logf("%d bytes", total(fields))
	}
	// Longer facts: as SealFacts says, the caller leaves them to the summary.
	m.Facts = make([]byte, SegmentOverhead+9+1+md5Size+2+SHA512.Size())
	if _, err := m.Encode(); !errors.Is(err, ErrMetadata) {
		t.Errorf("SHA512: %v", err)
	}
}

func TestMetadataThatIsNotWholeIsNotEncoded(t *testing.T) {
	for name, change := range map[string]func(*Metadata){
		"no kind":               func(m *Metadata) { m.Kind = 0 },
		"an unknown kind":       func(m *Metadata) { m.Kind = 4 },
		"no KEK":                func(m *Metadata) { m.KEK = "" },
		"a long KEK":            func(m *Metadata) { m.KEK = strings.Repeat("k", 201) },
		"a KEK with a line end": func(m *Metadata) { m.KEK = "a\nb" },
		"a KEK with an umlaut":  func(m *Metadata) { m.KEK = "ä" },
		"an empty window key":   func(m *Metadata) { m.Window = []byte{} },
		"no DEK":                func(m *Metadata) { m.DEK = nil },
		"no facts":              func(m *Metadata) { m.Facts = nil },
		"long facts":            func(m *Metadata) { m.Facts = make([]byte, maxFacts+1) },
		"more than 700 bytes":   func(m *Metadata) { m.Window = make([]byte, 400) },
	} {
		m := goodMetadata()
		change(m)
		if _, err := m.Encode(); !errors.Is(err, ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnUnknownFormatIsRefusedWithATextThatSaysSo(t *testing.T) {
	// Format 2 may have other names: the number is checked first.
	_, err := ParseMetadata(map[string]string{"s3proxy-format": "2", "s3proxy-new": "x"})
	if e := (*FormatError)(nil); !errors.As(err, &e) || e.Number != "2" {
		t.Fatalf("got %v", err)
	}
	for _, word := range []string{"unknown format 2", "reads format 1"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestAlgorithmsAreThoseOfS3(t *testing.T) {
	for name, want := range map[string]struct {
		a    Algorithm
		size int
	}{"": {0, 0}, "CRC32": {1, 4}, "CRC32C": {2, 4}, "CRC64NVME": {3, 8}, "SHA1": {4, 20}, "SHA256": {5, 32}, "SHA512": {6, 64},
		"MD5": {7, 16}, "XXHASH64": {8, 8}, "XXHASH3": {9, 8}, "XXHASH128": {10, 16}, "algorithm 11": {11, 0}} {
		if want.a.String() != name || want.a.Size() != want.size {
			t.Errorf("%d is %q with %d bytes, expected %q with %d", want.a, want.a, want.a.Size(), name, want.size)
		}
	}
}

func TestFactsAreTheSameLengthForEveryValueOfOneAlgorithm(t *testing.T) {
	d := newTestDEK(t)
	sealed, err := d.SealFacts(KindMultipart, 0, Facts{})
	if err != nil || len(sealed) != minFacts {
		t.Errorf("no facts are %d bytes, %v", len(sealed), err)
	}
	sealed, err = d.SealFacts(KindSingle, MaxObjectSize, Facts{MD5: make([]byte, 16), Checksum: Checksum{SHA512, Composite, make([]byte, 64)}})
	if err != nil || len(sealed) != maxFacts {
		t.Errorf("all facts are %d bytes, %v", len(sealed), err)
	}
	for name, f := range map[string]Facts{
		"a short MD5":          {MD5: make([]byte, 15)},
		"an unknown algorithm": {Checksum: Checksum{Algorithm: 11, Type: FullObject}},
		"a short CRC32":        {Checksum: Checksum{CRC32, FullObject, make([]byte, 3)}},
		"no type":              {Checksum: Checksum{CRC32, NoType, make([]byte, 4)}},
		"a type for nothing":   {Checksum: Checksum{Type: FullObject}},
		"an unknown type":      {Checksum: Checksum{CRC32, 3, make([]byte, 4)}},
	} {
		if _, err := d.SealFacts(KindSingle, 0, f); !errors.Is(err, ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSealedSizeIsTheOneThatIsStored(t *testing.T) {
	d := newTestDEK(t)
	for _, c := range []struct {
		kind   Kind
		size   int64
		stored int64
		want   error
	}{
		{KindSingle, 0, StoredSize(0), nil},
		{KindSingle, 5, StoredSize(5), nil},
		{KindSingle, MaxObjectSize, StoredSize(MaxObjectSize), nil},
		{KindSingle, 70_000, StoredSize(69_999), ErrTrailer},
		{KindSingle, 70_000, StoredSize(70_001), ErrTrailer},
		{KindSingle, 70_000, StoredSize(0), ErrTrailer},
		{KindSingle, 70_000, -1, ErrTrailer},
		{KindSingle, 5, 0, ErrTrailer},
		{KindEmpty, 0, 0, nil},
		{KindEmpty, 0, StoredSize(0), ErrTrailer},
		{KindMultipart, 5, StoredSize(7), nil}, // the trailer checks this
	} {
		sealed, err := d.SealFacts(c.kind, c.size, Facts{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.OpenFacts(c.kind, c.stored, sealed); !errors.Is(err, c.want) {
			t.Errorf("%s of %d bytes, %d stored: %v", c.kind, c.size, c.stored, err)
		}
	}
	for _, c := range []struct {
		kind Kind
		size int64
	}{{KindSingle, -1}, {KindSingle, MaxObjectSize + 1}, {KindEmpty, 1}} {
		if _, err := d.SealFacts(c.kind, c.size, Facts{}); !errors.Is(err, ErrMetadata) {
			t.Errorf("%s of %d bytes: %v", c.kind, c.size, err)
		}
	}
}

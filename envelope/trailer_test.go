package envelope

import (
	"errors"
	"strings"
	"testing"
)

// manyParts returns a trailer with count parts of 5 MiB that have every optional field.
func manyParts(count int) *Trailer {
	t := &Trailer{Kind: KindMultipart, UploadHash: UploadHash("many"), Facts: Facts{MD5: make([]byte, 16), Checksum: Checksum{SHA512, Composite, make([]byte, 64)}}}
	for i := range count {
		t.Parts = append(t.Parts, Part{Number: i + 1, Size: MinPartSize, ID: NewPartID(), MD5: make([]byte, 16), Checksum: Checksum{Algorithm: SHA512, Value: make([]byte, 64)}})
		t.Size += MinPartSize
	}
	return t
}

func TestATrailerOpensFromASuffixAndSaysHowMuchItNeeds(t *testing.T) {
	d := newTestDEK(t)
	for _, count := range []int{1, 2, 100, MaxParts} {
		want := manyParts(count)
		sealed, err := d.SealTrailer(want)
		if err != nil {
			t.Fatal(err)
		}
		stored := StoredSize(want.Size)
		if body := MultipartLayout(want.Parts).BodySize(); body+int64(len(sealed)) != stored {
			t.Fatalf("%d parts: %d of body and %d of trailer are not %d", count, body, len(sealed), stored)
		}
		for _, given := range []int{0, trailerEnd - 1, trailerEnd, len(sealed) - 1} {
			_, err := d.OpenTrailer(KindMultipart, stored, sealed[len(sealed)-given:])
			more := (*NeedMore)(nil)
			if !errors.As(err, &more) || more.Bytes <= int64(given) || more.Bytes > int64(len(sealed)) {
				t.Fatalf("%d of %d bytes: %v", given, len(sealed), err)
			}
			if given >= trailerEnd && more.Bytes != int64(len(sealed)) {
				t.Fatalf("asks for %d bytes of %d", more.Bytes, len(sealed))
			}
		}
		longer := append(make([]byte, 1000), sealed...)
		for _, suffix := range [][]byte{sealed, longer} {
			got, err := d.OpenTrailer(KindMultipart, stored, suffix)
			if err != nil || !got.equal(want) {
				t.Fatalf("%d parts: %v", count, err)
			}
		}
		if _, err := d.OpenTrailer(KindMultipart, stored+1, sealed); !errors.Is(err, ErrTrailer) {
			t.Errorf("another stored size: %v", err)
		}
	}
}

func TestIllegalTrailersAreNotSealed(t *testing.T) {
	d := newTestDEK(t)
	for name, change := range map[string]func(*Trailer){
		"no parts":               func(t *Trailer) { t.Parts, t.Size = nil, 0 },
		"another size":           func(t *Trailer) { t.Size++ },
		"a small part":           func(t *Trailer) { t.Parts[0].Size--; t.Size-- },
		"a number twice":         func(t *Trailer) { t.Parts[1].Number = 1 },
		"number 0":               func(t *Trailer) { t.Parts[0].Number = 0 },
		"number 10001":           func(t *Trailer) { t.Parts[2].Number = 10001 },
		"a negative size":        func(t *Trailer) { t.Parts[2].Size = -1; t.Size = 2*MinPartSize - 1 },
		"too large":              func(t *Trailer) { t.Parts[2].Size = MaxObjectSize; t.Size = 2*MinPartSize + MaxObjectSize },
		"a short MD5":            func(t *Trailer) { t.Parts[1].MD5 = make([]byte, 3) },
		"a short checksum":       func(t *Trailer) { t.Parts[1].Checksum.Value = nil },
		"malformed facts":        func(t *Trailer) { t.Facts.Checksum.Type = NoType },
		"a single of many parts": func(t *Trailer) { t.Kind = KindSingle },
		"an empty kind":          func(t *Trailer) { t.Kind = KindEmpty },
	} {
		trailer := manyParts(3)
		change(trailer)
		if _, err := d.SealTrailer(trailer); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPartRecordsFitAFileName(t *testing.T) {
	d := newTestDEK(t)
	hash := UploadHash("upload")
	long := Part{Number: MaxParts, Size: 5 << 30, ID: NewPartID(), MD5: make([]byte, 16), Checksum: Checksum{Algorithm: SHA512, Value: make([]byte, 64)}}
	r := Record{ETag: strings.Repeat("e", 54), Part: long}
	name, err := d.SealRecord(hash, r)
	if err != nil || len(name) >= 255 || strings.Trim(name, "0123456789-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		t.Fatalf("%d characters, %v: %s", len(name), err, name)
	}
	got, err := d.OpenRecord(hash, name)
	if err != nil || got.ETag != r.ETag || !sameParts([]Part{got.Part}, []Part{r.Part}) || !sameFacts([]Part{got.Part}, []Part{r.Part}) {
		t.Errorf("%+v, %v", got, err)
	}
	for what, bad := range map[string]Record{
		"a long name":  {ETag: strings.Repeat("e", 56), Part: long},
		"no ETag":      {Part: Part{Number: 1}},
		"a long ETag":  {ETag: strings.Repeat("e", 81), Part: Part{Number: 1}},
		"number 0":     {ETag: "e"},
		"number 10001": {ETag: "e", Part: Part{Number: 10001}},
	} {
		if _, err := d.SealRecord(hash, bad); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestATrailerOfAnotherStoredSizeIsRefused(t *testing.T) {
	d := newTestDEK(t)
	trailer := manyParts(2)
	trailer.Parts[1].Size = 100
	trailer.Size = MinPartSize + 100
	sealed, err := d.SealTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{trailer.Size - 1, trailer.Size + 1, trailer.Size + MinPartSize} {
		if _, err := d.OpenTrailer(KindMultipart, StoredSize(size), sealed); !errors.Is(err, ErrTrailer) {
			t.Errorf("an object of %d bytes: %v", size, err)
		}
	}
}

// Otherwise a faulty writer could make a reader ask for 4 GiB.
func TestAnImpossibleTableLengthIsNotAskedFor(t *testing.T) {
	for _, v := range loadVectors(t) {
		if v.name != "bad_trailer_table_length_huge" {
			continue
		}
		if _, err := must(DEKFromBytes(v.dek)).OpenTrailer(KindSingle, v.stored, v.body); class(err) != "trailer" {
			t.Errorf("got %v", err)
		}
		return
	}
	t.Error("the vector is missing")
}

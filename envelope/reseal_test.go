package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"testing"
)

// seeded is the randomness used for the vectors: SHA-256 of the seed and a counter.
func seeded(seed string) func([]byte) {
	var counter uint32
	var left []byte
	return func(b []byte) {
		for len(left) < len(b) {
			sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(seed), counter))
			left = append(left, sum[:]...)
			counter++
		}
		left = left[copy(b, left):]
	}
}

func TestEveryGoodVectorSealsToTheSameBytesAgain(t *testing.T) {
	sealed := 0
	for _, v := range loadVectors(t) {
		if v.expect != "ok" || v.seed == "" {
			continue
		}
		sealed++
		t.Run(v.name, func(t *testing.T) {
			if v.what == "record" {
				v.resealRecord(t)
			} else {
				v.reseal(t)
			}
		})
	}
	if sealed < 20 {
		t.Errorf("only %d vectors were sealed again", sealed)
	}
}

func (v vector) resealRecord(t *testing.T) {
	dek := v.seededDEK(t, seeded(v.seed))
	r, err := dek.OpenRecord(UploadHash(v.upload), v.record)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dek.SealRecord(UploadHash(v.upload), r); err != nil || got != v.record {
		t.Errorf("got %s, %v\nexpected %s", got, err, v.record)
	}
}

func (v vector) seededDEK(t *testing.T, random func([]byte)) *DEK {
	t.Helper()
	dek, err := DEKFromBytes(v.dek)
	if err != nil {
		t.Fatal(err)
	}
	dek.random = random
	dek.Under(v.floor)
	return dek
}

// reseal draws IVs in the generator's order: window key, DEK, facts, segments, table, summary.
func (v vector) reseal(t *testing.T) {
	random := seeded(v.seed)
	dek := v.seededDEK(t, random)
	m, err := ParseMetadata(v.meta)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := dek.OpenFacts(m.Kind, v.stored, m.Facts)
	if err != nil {
		t.Fatal(err)
	}
	again := Metadata{Kind: m.Kind, KEK: m.KEK, Commitment: dek.Commitment()}
	kek := newRawGCM(v.kek, random)
	if m.Window == nil {
		again.DEK, err = dek.Wrap(kek, canonical(v.windowZeroContext(m.Kind)))
	} else {
		bucket := canonical(map[string]string{"bucket": v.bucket})
		key, openErr := kek.Decrypt(m.Window, bucket)
		if openErr != nil {
			t.Fatal(openErr)
		}
		again.Window, _ = kek.Encrypt(key, bucket)
		again.DEK, err = dek.Wrap(newRawGCM(key, random), canonical(v.windowContext(m)))
	}
	if err != nil {
		t.Fatal(err)
	}
	if again.Facts, err = dek.SealFacts(m.Kind, int64(v.releasedLength), facts); err != nil {
		t.Fatal(err)
	}
	fields, err := again.Encode()
	if err != nil || !maps.Equal(fields, v.meta) {
		t.Errorf("metadata: %v\n%v\nexpected\n%v", err, fields, v.meta)
	}
	if m.Kind == KindEmpty {
		return
	}
	if got := v.resealBody(t, dek, m.Kind); !bytes.Equal(got, v.body) {
		t.Errorf("sealed again, the body is %d bytes and differs from the %d expected", len(got), len(v.body))
	}
}

func (v vector) resealBody(t *testing.T, dek *DEK, k Kind) []byte {
	o, err := v.reader(dek, k)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	trailer := o.Trailer()
	if k == KindSingle {
		return readAll(t, dek.SealObject(int64(len(plaintext)), bytes.NewReader(plaintext), func() Facts { return trailer.Facts }))
	}
	var out []byte
	for _, p := range trailer.Parts {
		out = append(out, readAll(t, dek.SealPart(k, p, bytes.NewReader(plaintext[:p.Size])))...)
		plaintext = plaintext[p.Size:]
	}
	end, err := dek.SealTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	return append(out, end...)
}

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

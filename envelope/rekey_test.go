package envelope

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// sealedMultipart seals an object from the plaintexts of its parts; it also returns the trailer.
func sealedMultipart(t *testing.T, d *DEK, parts ...[]byte) ([]byte, *Trailer) {
	t.Helper()
	trailer := &Trailer{Kind: KindMultipart, UploadHash: UploadHash("upload"), Facts: Facts{MD5: make([]byte, 16)}}
	var stored []byte
	for i, plaintext := range parts {
		p := Part{Number: 2*i + 1, Size: int64(len(plaintext)), ID: NewPartID(), MD5: bytes.Repeat([]byte{byte(i)}, 16)}
		stored = append(stored, readAll(t, d.SealPart(KindMultipart, p, bytes.NewReader(plaintext)))...)
		trailer.Parts, trailer.Size = append(trailer.Parts, p), trailer.Size+p.Size
	}
	end, err := d.SealTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	return append(stored, end...), trailer
}

func TestAnObjectIsResealedAsItIs(t *testing.T) {
	old, fresh := newTestDEK(t), newTestDEK(t)
	for _, size := range []int{0, 1, SegmentSize, 3*SegmentSize + 7} {
		plaintext := bytes.Repeat([]byte("s3proxy "), size/8+1)[:size]
		stored := readAll(t, old.SealObject(int64(size), bytes.NewReader(plaintext), nil))
		trailer, err := old.OpenTrailer(KindSingle, int64(len(stored)), stored[max(0, len(stored)-TrailerGuess):])
		if err != nil {
			t.Fatal(err)
		}
		again := readAll(t, old.ResealObject(fresh, int64(len(stored)), trailer, bytes.NewReader(stored)))
		if len(again) != len(stored) || bytes.Equal(again, stored) {
			t.Errorf("%d bytes became %d stored ones of %d", size, len(again), len(stored))
		}
		got := readAll(t, fresh.OpenObject(KindSingle, SingleLayout(int64(size)), int64(len(again)), nil, bytes.NewReader(again)))
		if !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes open as %d others", size, len(got))
		}
	}
	stored, trailer := sealedMultipart(t, old, make([]byte, MinPartSize+5), make([]byte, MinPartSize), []byte("the end"))
	again := readAll(t, old.ResealObject(fresh, int64(len(stored)), trailer, bytes.NewReader(stored)))
	end, err := fresh.OpenTrailer(KindMultipart, int64(len(again)), again[len(again)-TrailerGuess:])
	if err != nil {
		t.Fatal(err)
	}
	if end.Size != trailer.Size || end.UploadHash != trailer.UploadHash || len(again) != len(stored) || !bytes.Equal(end.Facts.MD5, trailer.Facts.MD5) {
		t.Errorf("the trailer says %+v", end)
	}
	for i, p := range end.Parts {
		was := trailer.Parts[i]
		if p.Number != was.Number || p.Size != was.Size || !bytes.Equal(p.MD5, was.MD5) || p.ID == was.ID {
			t.Errorf("part %d: %+v, was %+v", i, p, was)
		}
	}
	plain := readAll(t, fresh.OpenObject(KindMultipart, MultipartLayout(end.Parts), int64(len(again)), end, bytes.NewReader(again)))
	if int64(len(plain)) != trailer.Size || !bytes.HasSuffix(plain, []byte("the end")) {
		t.Errorf("%d bytes of plaintext", len(plain))
	}
}

func TestADamagedObjectIsNotResealedToItsEnd(t *testing.T) {
	old, fresh := newTestDEK(t), newTestDEK(t)
	stored, trailer := sealedMultipart(t, old, make([]byte, MinPartSize), []byte("the end"))
	for name, spoiled := range map[string][]byte{
		"a bit of the first part": flipped(stored, 100), "a bit of the last part": flipped(stored, int(StoredPartSize(MinPartSize))+15),
		"a bit of the trailer": flipped(stored, len(stored)-300), "cut": stored[:len(stored)-1], "a byte more": append(bytes.Clone(stored), 0),
	} {
		r := old.ResealObject(fresh, int64(len(stored)), trailer, bytes.NewReader(spoiled))
		again, err := io.ReadAll(r)
		r.Close()
		if err == nil || len(again) >= len(stored) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(again), len(stored), err)
		}
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func TestACommitmentIsMadeWithTheFloor(t *testing.T) {
	d := newTestDEK(t)
	one, two := bytes.Repeat([]byte{1}, FloorSize), bytes.Repeat([]byte{2}, FloorSize)
	seen := map[[32]byte]bool{}
	for _, floor := range [][]byte{nil, one, two} {
		d.Under(floor)
		if seen[d.Commitment()] || !d.IsUnder(floor) {
			t.Errorf("the floor %x changes nothing", floor)
		}
		seen[d.Commitment()] = true
	}
	committed := d.Commitment()
	d.Under(one)
	if err := d.CheckCommitment(committed); !errors.Is(err, ErrCommitment) || d.IsUnder(nil) || d.IsUnder(two) {
		t.Errorf("a commitment with another floor: %v", err)
	}
}

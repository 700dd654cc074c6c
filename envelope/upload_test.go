package envelope

import (
	"errors"
	"testing"
)

func TestAnUploadOpensAsItWasSealed(t *testing.T) {
	dek, err := NewDEK()
	if err != nil {
		t.Fatal(err)
	}
	hash := UploadHash("id")
	for _, u := range []Upload{{}, {MD5: true}, {Checksum: CRC32, Type: Composite}, {Checksum: CRC64NVME, Type: FullObject, MD5: true}, {Checksum: SHA512, Type: Composite}} {
		sealed, err := dek.SealUpload(hash, u)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dek.OpenUpload(hash, sealed)
		if err != nil || got != u {
			t.Errorf("%+v came back as %+v, %v", u, got, err)
		}
		if _, err := dek.OpenUpload(UploadHash("other"), sealed); !errors.Is(err, ErrTampered) {
			t.Errorf("another upload's hash: %v", err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := dek.OpenUpload(hash, sealed); !errors.Is(err, ErrTampered) {
			t.Errorf("a flipped bit: %v", err)
		}
	}
}

func TestAnUploadThatS3DoesNotHaveIsRefused(t *testing.T) {
	dek, err := NewDEK()
	if err != nil {
		t.Fatal(err)
	}
	hash := UploadHash("id")
	for _, u := range []Upload{{Checksum: 99, Type: Composite}, {Checksum: CRC32}, {Type: FullObject}, {Checksum: CRC32, Type: 3}} {
		if _, err := dek.SealUpload(hash, u); !errors.Is(err, ErrLayout) {
			t.Errorf("%+v: %v", u, err)
		}
	}
	for _, plaintext := range [][]byte{nil, {0, 0}, {0, 0, 2}, {0, 0, 0, 0}, {99, 1, 0}} {
		sealed, err := dek.seal(nil, plaintext, uploadAAD(hash))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dek.OpenUpload(hash, sealed); !errors.Is(err, ErrMetadata) {
			t.Errorf("%v: %v", plaintext, err)
		}
	}
}

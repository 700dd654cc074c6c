package envelope

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	maxETag = 80
	// maxRecordName stays below the 255 bytes that the file systems of stores allow a path element.
	maxRecordName = 254
)

// Record keeps what is known of an uploaded part until the upload is completed.
type Record struct {
	ETag string // the store's, 1 to 80 bytes
	Part Part
}

// SealRecord returns the name of the state object that keeps r: the part number, "-" and the
// sealed record in base64url without padding; at most 254 characters. The upload's hash
// ([UploadHash]) and the part number are authenticated. It returns ErrLayout if r has an illegal
// part or no ETag, or if the name would be too long: beside an MD5 and a SHA512 there is room for
// an ETag of 54 bytes.
func (d *DEK) SealRecord(uploadHash [16]byte, r Record) (name string, err error) {
	if err := r.check(); err != nil {
		return "", fmt.Errorf("%w: part record: %w", ErrLayout, err)
	}
	sealed, err := d.seal(nil, r.encode(), recordAAD(uploadHash, r.Part.Number))
	if err != nil {
		return "", err
	}
	name = strconv.Itoa(r.Part.Number) + "-" + coding.EncodeToString(sealed)
	if len(name) > maxRecordName {
		return "", fmt.Errorf("%w: part record: a name of %d characters", ErrLayout, len(name))
	}
	return name, nil
}

// OpenRecord opens a name that SealRecord made for the same upload. It returns ErrMetadata if the
// name or the record in it is malformed, ErrTampered if it does not authenticate.
func (d *DEK) OpenRecord(uploadHash [16]byte, name string) (Record, error) {
	digits, value, _ := strings.Cut(name, "-")
	number, err := strconv.Atoi(digits)
	if err != nil || len(name) > maxRecordName || number < 1 || number > MaxParts || strconv.Itoa(number) != digits {
		return Record{}, fmt.Errorf("%w: not the name of a part record", ErrMetadata)
	}
	sealed, err := coding.DecodeString(value)
	if err != nil || coding.EncodeToString(sealed) != value {
		return Record{}, fmt.Errorf("%w: not the name of a part record", ErrMetadata)
	}
	plaintext, err := d.open(sealed, recordAAD(uploadHash, number))
	if err != nil {
		return Record{}, fmt.Errorf("part record %d: %w", number, err)
	}
	return parseRecord(plaintext, number)
}

func recordAAD(uploadHash [16]byte, number int) []byte {
	aad := append(sealedAAD(KindMultipart, tagRecord), uploadHash[:]...)
	return binary.BigEndian.AppendUint32(aad, uint32(number))
}

func (r Record) check() error {
	if len(r.ETag) < 1 || len(r.ETag) > maxETag {
		return fmt.Errorf("an ETag of %d bytes", len(r.ETag))
	}
	return r.Part.check(KindMultipart)
}

func (r Record) encode() []byte {
	w := writer{}
	w.u8(uint8(len(r.ETag)))
	w.bytes([]byte(r.ETag))
	w.bytes(r.Part.ID[:])
	w.u64(uint64(r.Part.Size))
	w.shortMD5(r.Part.MD5)
	w.u8(uint8(r.Part.Checksum.Algorithm))
	w.bytes(r.Part.Checksum.Value)
	return w.b
}

func parseRecord(plaintext []byte, number int) (Record, error) {
	in := reader{b: plaintext}
	r := Record{ETag: string(in.take(int(in.u8())))}
	r.Part.Number = number
	r.Part.ID = PartID(in.take(len(r.Part.ID)))
	r.Part.Size = int64(in.u64())
	r.Part.MD5 = in.shortMD5()
	r.Part.Checksum.Algorithm = Algorithm(in.u8())
	r.Part.Checksum.Value = in.take(r.Part.Checksum.Algorithm.Size())
	if err := errors.Join(in.end(), r.check()); err != nil {
		return Record{}, fmt.Errorf("%w: part record: %w", ErrMetadata, err)
	}
	return r, nil
}

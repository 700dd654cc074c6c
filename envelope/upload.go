package envelope

import (
	"errors"
	"fmt"
)

// Upload holds what a client asked for when it created a multipart upload. Every replica that
// receives a part needs it.
type Upload struct {
	// Checksum and Type describe the finished object; NoChecksum and NoType if the client named
	// none.
	Checksum Algorithm
	Type     ChecksumType
	// MD5 says that the MD5 of each part is computed, because the ETag is made from them.
	MD5 bool
}

// SealUpload returns the body of an upload's state object. The upload's hash ([UploadHash]) is
// authenticated.
func (d *DEK) SealUpload(uploadHash [16]byte, u Upload) ([]byte, error) {
	if err := u.check(); err != nil {
		return nil, fmt.Errorf("%w: upload: %w", ErrLayout, err)
	}
	w := writer{}
	w.u8(uint8(u.Checksum))
	w.u8(uint8(u.Type))
	flags := uint8(0)
	if u.MD5 {
		flags = 1
	}
	w.u8(flags)
	return d.seal(nil, w.b, uploadAAD(uploadHash))
}

// OpenUpload opens the result of SealUpload for the same upload. It returns ErrTampered if the data
// does not authenticate, ErrMetadata if it is malformed.
func (d *DEK) OpenUpload(uploadHash [16]byte, sealed []byte) (Upload, error) {
	plaintext, err := d.open(sealed, uploadAAD(uploadHash))
	if err != nil {
		return Upload{}, fmt.Errorf("upload: %w", err)
	}
	in := reader{b: plaintext}
	u := Upload{Checksum: Algorithm(in.u8()), Type: ChecksumType(in.u8())}
	flags := in.u8()
	u.MD5 = flags == 1
	err = errors.Join(in.end(), u.check())
	if err == nil && flags > 1 {
		err = fmt.Errorf("flags %#x", flags)
	}
	if err != nil {
		return Upload{}, fmt.Errorf("%w: upload: %w", ErrMetadata, err)
	}
	return u, nil
}

func (u Upload) check() error {
	known := u.Checksum == NoChecksum || u.Checksum.Size() > 0
	if !known || u.Type > Composite || (u.Checksum == NoChecksum) != (u.Type == NoType) {
		return fmt.Errorf("checksum algorithm %d of type %d", u.Checksum, u.Type)
	}
	return nil
}

func uploadAAD(uploadHash [16]byte) []byte {
	return append(sealedAAD(KindMultipart, tagUpload), uploadHash[:]...)
}

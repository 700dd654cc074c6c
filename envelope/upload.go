package envelope

import (
	"errors"
	"fmt"
)

// Upload is what a client asked for when it began a multipart upload and what
// every replica that takes a part of it must know.
type Upload struct {
	// Checksum and Type are those of the finished object; NoChecksum and NoType
	// when the client named none.
	Checksum Algorithm
	Type     ChecksumType
	// MD5 says that the parts' MD5s are computed: the ETag is made of them.
	MD5 bool
}

// SealUpload gives the body of an upload's state object. The upload's hash
// ([UploadHash]) is authenticated.
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

// OpenUpload opens what SealUpload gave for the same upload. ErrTampered when it
// does not authenticate, ErrMetadata when it is malformed.
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

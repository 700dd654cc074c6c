package object

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// DestroyAtEnd gives r, and destroys its key at its end: in the goroutine that reads, which
// may be the transport's and go on after the store has answered.
func DestroyAtEnd(r io.ReadCloser, dek *envelope.DEK) io.ReadCloser { return &lastUse{r, dek} }

type lastUse struct {
	io.ReadCloser
	dek *envelope.DEK
}

func (l *lastUse) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err == io.EOF {
		l.dek.Destroy()
	}
	return n, err
}

// SealRaw gives what a store would hold of an object of one PUT: the user metadata
// (names without x-amz-meta-), and the stored bytes while it pulls exactly size
// bytes of plaintext from src. The caller closes it.
func SealRaw(ctx context.Context, b Settings, bucket, key string, src io.Reader, size int64) (map[string]string, io.ReadCloser, error) {
	o := New(b, state.Place{}, nil)
	kind := KindOfPut(key, size)
	at, k, _, err := ParseRef(bucket, key, "")
	if err != nil {
		return nil, nil, err
	}
	dek, meta, err := b.Keyring.NewKey(ctx, kms.Name{Bucket: o.KeyBucket(at), Key: k.String(), Kind: kind})
	if err != nil {
		return nil, nil, err
	}
	// The checksum and the MD5 of the plaintext are in the trailer, for HEAD.
	plain := checksum.NewReader(src, nil, &checksum.Declared{Algorithm: envelope.CRC64NVME, WantsMD5: true})
	known := envelope.Facts{}
	if kind == envelope.KindEmpty { // it has no trailer
		if n, err := plain.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			dek.Destroy()
			return nil, nil, fmt.Errorf("read the plaintext: %w", envelope.ErrTooLong)
		}
		known = plain.Facts()
	}
	fields, err := EncodeMetadata(dek, meta, size, known)
	if err != nil {
		dek.Destroy()
		return nil, nil, err
	}
	if kind == envelope.KindEmpty {
		dek.Destroy()
		return fields, io.NopCloser(bytes.NewReader(nil)), nil
	}
	return fields, &sealedRaw{dek.SealObject(size, plain, plain.Facts), dek}, nil
}

// sealedRaw destroys the key when it is closed.
type sealedRaw struct {
	*envelope.SealReader
	dek *envelope.DEK
}

func (s *sealedRaw) Close() error {
	s.SealReader.Close()
	s.dek.Destroy()
	return nil
}

// errFloorMoved says that a write's key is not the bucket's current kind any more: `keys rekey`
// has begun since the write did, and would never see what this one leaves.
var errFloorMoved = s3err.ServiceUnavailable.WithMessage("The keys of this bucket are being made anew; please send the request again.")

// UnderFloor refuses a key that is below the bucket's floor: what it would protect is not
// encrypted again, and is unreadable once the floor is closed.
func (o *Objects) UnderFloor(ctx context.Context, bucket s3name.Bucket, dek *envelope.DEK) error {
	current, err := o.Keyring.IsCurrent(ctx, o.KeyBucket(bucket), dek)
	if err == nil && !current {
		err = errFloorMoved
	}
	return err
}

// ReadUnderFloor gives the end of a body only while the body's key is under the bucket's floor.
func (o *Objects) ReadUnderFloor(ctx context.Context, body io.Reader, bucket s3name.Bucket, dek *envelope.DEK) io.Reader {
	return &floorReader{body, func() error { return o.UnderFloor(ctx, bucket, dek) }}
}

type floorReader struct {
	io.Reader
	check func() error
}

func (r *floorReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		if refused := r.check(); refused != nil {
			return n, refused
		}
	}
	return n, err
}

package object

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// Sealing is an object of one PUT on its way into a store, with its own key.
type Sealing struct {
	Kind   envelope.Kind
	Meta   *envelope.Metadata
	Fields map[string]string // user metadata, the names without x-amz-meta-
	Length int64             // of the stored bytes; 0 for kind empty, which has no body

	objects *Objects
	bucket  s3name.Bucket
	size    int64
	dek     *envelope.DEK
}

// NewSealing makes a key for an object of size plaintext bytes. known are the facts known before
// its body: all of them if there is no body.
func (o *Objects) NewSealing(ctx context.Context, bucket s3name.Bucket, key s3name.Key, size int64, known envelope.Facts) (*Sealing, error) {
	s := &Sealing{Kind: KindOfPut(key.String(), size), objects: o, bucket: bucket, size: size}
	var err error
	if s.dek, s.Meta, err = o.Keyring.NewKey(ctx, kms.Name{Bucket: o.KeyBucket(bucket), Key: key.String(), Kind: s.Kind}); err != nil {
		return nil, err
	}
	if s.Fields, err = EncodeMetadata(s.dek, s.Meta, size, known); err != nil {
		s.Close()
		return nil, err
	}
	if s.Kind == envelope.KindEmpty {
		s.Close()
		return s, nil
	}
	s.Length = envelope.StoredSize(size)
	return s, nil
}

// SetMetadata adds the object's metadata to the headers of a write.
func (s *Sealing) SetMetadata(h http.Header) {
	for name, value := range s.Fields {
		h[MetaPrefix+name] = []string{value}
	}
}

// Body returns the stored bytes while it pulls the plaintext from src; facts is called when the
// plaintext was read. The key is destroyed at the end, in the goroutine that reads, which may be
// the transport's and go on after the store has answered.
func (s *Sealing) Body(src io.Reader, facts func() envelope.Facts) io.ReadCloser {
	sealed := s.dek.SealObject(s.size, src, facts)
	sealed.ReadAhead()
	return &lastUse{sealed, s.dek}
}

// InPlace returns the stored bytes of an object that is held in memory, and destroys the key.
func (s *Sealing) InPlace(o *envelope.HeldObject, facts envelope.Facts) ([]byte, error) {
	defer s.dek.Destroy()
	return s.dek.SealHeld(o, facts)
}

// UnderFloor returns src, but lets it end well only if the key is still under the bucket's floor.
// It is for bodies that may take long.
func (s *Sealing) UnderFloor(ctx context.Context, src io.Reader) io.Reader {
	return &floorReader{src, func() error { return s.objects.UnderFloor(ctx, s.bucket, s.dek) }}
}

// Close destroys the key of an object whose body was not read to its end.
func (s *Sealing) Close() { s.dek.Destroy() }

// DestroyAtEnd returns r, and destroys its key at its end, as Sealing.Body does.
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

// SealRaw returns what a store would hold of an object written with one PUT: the user metadata
// (names without x-amz-meta-), and the stored bytes while it pulls exactly size bytes of plaintext
// from src. The caller closes it.
func SealRaw(ctx context.Context, b Settings, bucket, key string, src io.Reader, size int64) (map[string]string, io.ReadCloser, error) {
	at, k, _, err := ParseRef(bucket, key, "")
	if err != nil {
		return nil, nil, err
	}
	plain, known := ReadPlain(src, &checksum.Declared{}), envelope.Facts{}
	if KindOfPut(key, size) == envelope.KindEmpty { // it has no trailer to hold the facts
		if known, err = EmptyFacts(plain); err != nil {
			return nil, nil, err
		}
	}
	s, err := New(b, state.Place{}, nil).NewSealing(ctx, at, k, size, known)
	if err != nil {
		return nil, nil, err
	}
	if s.Kind == envelope.KindEmpty {
		return s.Fields, http.NoBody, nil
	}
	return s.Fields, &sealedRaw{s.Body(plain, plain.Facts), s}, nil
}

// ReadPlain reads src and computes the checksums that an object keeps if no client asked for any:
// d's or CRC64NVME, and the MD5, which is the ETag in mode md5.
func ReadPlain(src io.Reader, d *checksum.Declared) *checksum.Reader {
	if d.WantsMD5 = true; d.Algorithm == envelope.NoChecksum {
		d.Algorithm = envelope.CRC64NVME
	}
	return checksum.NewReader(src, nil, d)
}

// EmptyFacts are the facts of plain, which must be empty.
func EmptyFacts(plain *checksum.Reader) (envelope.Facts, error) {
	switch n, err := plain.Read(make([]byte, 1)); {
	case n != 0:
		return envelope.Facts{}, fmt.Errorf("read the plaintext: %w", envelope.ErrTooLong)
	case err != io.EOF:
		return envelope.Facts{}, fmt.Errorf("read an empty object: %w", err)
	}
	return plain.Facts(), nil
}

// sealedRaw destroys the key when it is closed.
type sealedRaw struct {
	io.ReadCloser
	of *Sealing
}

func (s *sealedRaw) Close() error {
	defer s.of.Close()
	return s.ReadCloser.Close()
}

// errFloorMoved says that the key of a write no longer fits the bucket's floor: `keys rekey` has
// begun since the write did, and would never see the object that it leaves.
var errFloorMoved = s3err.ServiceUnavailable.WithMessage("The keys of this bucket are being made anew; please send the request again.")

// UnderFloor refuses a key that is below the bucket's floor. An object with that key would not be
// encrypted again, and would become unreadable once the floor is closed.
func (o *Objects) UnderFloor(ctx context.Context, bucket s3name.Bucket, dek *envelope.DEK) error {
	current, err := o.Keyring.IsCurrent(ctx, o.KeyBucket(bucket), dek)
	if err == nil && !current {
		err = errFloorMoved
	}
	return err
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

package proxy

import (
	"context"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
)

// errFloorMoved says that a write's key is not the bucket's current kind any more: `keys rekey`
// has begun since the write did, and would never see what this one leaves.
var errFloorMoved = s3err.ServiceUnavailable.WithMessage("The keys of this bucket are being made anew; please send the request again.")

// underFloor refuses a key that is below the bucket's floor: what it would protect is not
// encrypted again, and is unreadable once the floor is closed.
func (o *objects) underFloor(ctx context.Context, bucket s3name.Bucket, dek *envelope.DEK) error {
	current, err := o.Keyring.IsCurrent(ctx, o.keyBucket(bucket), dek)
	if err == nil && !current {
		err = errFloorMoved
	}
	return err
}

// floorReader gives the end of a body only while the body's key is under the bucket's floor.
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

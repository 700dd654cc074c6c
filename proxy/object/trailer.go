package object

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
)

// Trailer reads and opens the object's trailer, or takes it from the cache. The read carries
// If-Match, so that the trailer belongs to the same object.
func (o *Objects) Trailer(ctx context.Context, s *Stored, dek *envelope.DEK) (*envelope.Trailer, error) {
	if t, ok := o.SeenTrailer(s); ok {
		return t, nil
	}
	t, err := openTrailer(dek, s.Meta.Kind, s.Bytes, func(n int64) ([]byte, error) { return o.readSuffixTogether(ctx, s, n) })
	if err != nil {
		return nil, err
	}
	return t, o.prove(s, t)
}

// openTrailer opens the end of an object of so many stored bytes. suffix returns the last n of
// them; it is called a second time if the first guess was too short.
func openTrailer(dek *envelope.DEK, kind envelope.Kind, stored int64, suffix func(n int64) ([]byte, error)) (*envelope.Trailer, error) {
	want := int64(envelope.TrailerGuess)
	if n, ok := envelope.PlainSize(stored); ok {
		// More parts only shorten it: no trailer is longer than that of a single object.
		want = min(want, stored-envelope.StoredPartSize(n))
	}
	for try := 0; try < 2; try++ {
		end, err := suffix(min(want, stored))
		if err != nil {
			return nil, err
		}
		t, err := dek.OpenTrailer(kind, stored, end)
		var more *envelope.NeedMore
		if errors.As(err, &more) && more.Bytes > int64(len(end)) && more.Bytes <= stored {
			want = more.Bytes
			continue
		}
		return t, err
	}
	return nil, fmt.Errorf("%w: the part table's length changed", envelope.ErrTrailer)
}

// readSuffixTogether is readSuffix for all who ask for the same end at the same time. Each opens it
// with the key that the store has shown it.
func (o *Objects) readSuffixTogether(ctx context.Context, s *Stored, n int64) ([]byte, error) {
	if s.UpstreamETag == "" { // nothing distinguishes two states of the object
		return o.readSuffix(ctx, s, n)
	}
	id := fmt.Sprintf("suffix %q %q %q %t %q %d %d", s.Bucket.String(), s.Key.String(), s.Version.String(), s.unsigned, s.UpstreamETag, s.Bytes, n)
	return together(ctx, &o.cache.reads, id, func(ctx context.Context) ([]byte, error) { return o.readSuffix(ctx, s, n) })()
}

// readSuffix reads the last n bytes of a stored object.
func (o *Objects) readSuffix(ctx context.Context, s *Stored, n int64) ([]byte, error) {
	resp, err := o.GetRange(ctx, s, s.Bytes-n, n)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	suffix := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, suffix); err != nil {
		return nil, fmt.Errorf("%w: the trailer: %w", envelope.ErrTruncated, err)
	}
	return suffix, nil
}

// LayoutOf says where the segments of an object with this end are.
func LayoutOf(t *envelope.Trailer) envelope.Layout {
	if t.Kind == envelope.KindSingle {
		return envelope.SingleLayout(t.Size)
	}
	return envelope.MultipartLayout(t.Parts)
}

// PartsOf is the value of x-amz-mp-parts-count; 0 for an object written with one PUT.
func PartsOf(t *envelope.Trailer) int {
	if t == nil || t.Kind != envelope.KindMultipart {
		return 0
	}
	return len(t.Parts)
}

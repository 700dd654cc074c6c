package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// CORSRules is the name of the setting that holds a bucket's CORS rules.
const CORSRules = "cors"

// maxSetting limits a setting's document: S3's largest, of 64 KiB, with its quotes escaped.
const maxSetting = 512 << 10

// setting is a state object: a document about a bucket, sealed like a client's object, so that the
// store can neither forge it nor use that of another bucket. Its key is bound to the name that it
// would have in the bucket itself, wherever it is stored. The store can still bring back an older
// one.
type setting struct {
	*Objects
	bucket s3name.Bucket
	key    s3name.Key // the name that its key is bound to
	// Where it is:
	stateBucket s3name.Bucket
	stateKey    string
}

func (o *Objects) setting(bucket s3name.Bucket, name string) (s setting, err error) {
	strict := *o
	strict.AllowPlaintextReads, strict.Legacy = false, nil
	s = setting{Objects: &strict, bucket: bucket}
	at, prefix := o.Place.Of(bucket)
	s.stateBucket, s.stateKey = at, prefix+name
	s.key, err = o.Place.OwnKey(o.Place.Root() + name)
	return s, err
}

// SettingPlace says where the object with a setting is.
func SettingPlace(at state.Place, bucket s3name.Bucket, name string) (stateBucket, key string) {
	in, prefix := at.Of(bucket)
	return in.String(), prefix + name
}

// ReadSetting returns the document of a setting; nil if the bucket has none. A document forged by
// the store is an error.
func (o *Objects) ReadSetting(ctx context.Context, bucket s3name.Bucket, name string) (document []byte, err error) {
	s, err := o.setting(bucket, name)
	if err != nil {
		return nil, err
	}
	stored, resp, err := s.get(ctx)
	if err != nil || stored == nil {
		return nil, err
	}
	defer resp.Body.Close()
	return s.open(ctx, stored, resp.Body)
}

// PutSetting seals and puts the document of a setting.
func (o *Objects) PutSetting(ctx context.Context, bucket s3name.Bucket, name string, document []byte) error {
	s, err := o.setting(bucket, name)
	if err != nil {
		return err
	}
	return s.put(ctx, document, "")
}

// DeleteSetting deletes a setting.
func (o *Objects) DeleteSetting(ctx context.Context, bucket s3name.Bucket, name string) error {
	s, err := o.setting(bucket, name)
	if err != nil {
		return err
	}
	return s.remove(ctx)
}

// RenewSetting seals a setting again with a new key, if due says so for its metadata. Its key is
// bound to the name key. A setting that somebody else has changed meanwhile already has a new key.
func (o *Objects) RenewSetting(ctx context.Context, bucket s3name.Bucket, name string, due func(ctx context.Context, key string, m *envelope.Metadata) (bool, error)) (renewed bool, err error) {
	s, err := o.setting(bucket, name)
	if err != nil {
		return false, err
	}
	stored, resp, err := s.get(ctx)
	if err != nil || stored == nil {
		return false, err
	}
	defer resp.Body.Close()
	if is, err := due(ctx, s.key.String(), stored.Meta); err != nil || !is {
		return false, err
	}
	document, err := s.open(ctx, stored, resp.Body)
	if err != nil {
		return false, err
	}
	err = s.put(ctx, document, stored.UpstreamETag)
	if status, refused := upstream.Status(err); refused && status == http.StatusPreconditionFailed {
		return false, nil
	}
	return err == nil, err
}

// get asks for the object; nil if it does not exist.
func (s setting) get(ctx context.Context) (*Stored, *http.Response, error) {
	req, err := s.State().Request(http.MethodGet, s.stateBucket, s.stateKey)
	if err != nil {
		return nil, nil, err
	}
	resp, err := s.Upstream.Do(ctx, req)
	if upstream.IsNotFound(err) && !errors.Is(err, s3err.NoSuchBucket) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get the setting %s: %w", s.stateKey, err)
	}
	stored, err := s.ReadStored(s.bucket, s.key, false, resp)
	switch {
	case errors.Is(err, envelope.ErrNotEncrypted), errors.Is(err, legacy.ErrNoKey), err == nil && stored.Meta == nil:
		err = fmt.Errorf("%w: it is not sealed", upstream.ErrStored)
	case err != nil:
	case stored.Meta.Kind != envelope.KindSingle || stored.Size > maxSetting:
		err = fmt.Errorf("%w: no setting is of kind %s with %d bytes", upstream.ErrStored, stored.Meta.Kind, stored.Bytes)
	default:
		return stored, resp, nil
	}
	resp.Body.Close()
	return nil, nil, fmt.Errorf("get the setting %s: %w", s.stateKey, err)
}

func (s setting) open(ctx context.Context, stored *Stored, body io.Reader) ([]byte, error) {
	dek, _, err := s.Unlock(ctx, stored)
	if err != nil {
		return nil, fmt.Errorf("open the setting %s: %w", s.stateKey, err)
	}
	defer dek.Destroy()
	plain := stored.OpenWhole(dek, nil, body)
	defer plain.Close()
	document, err := io.ReadAll(plain)
	if err != nil {
		return nil, fmt.Errorf("open the setting %s: %w", s.stateKey, err)
	}
	return document, nil
}

// put replaces the object with this ETag of the store's, or whatever object there is.
func (s setting) put(ctx context.Context, document []byte, etag string) error {
	if len(document) > maxSetting {
		return fmt.Errorf("the setting %s has %d bytes, more than %d", s.stateKey, len(document), maxSetting)
	}
	sealing, err := s.NewSealing(ctx, s.bucket, s.key, int64(len(document)), envelope.Facts{})
	if err != nil {
		return err
	}
	defer sealing.Close()
	plain := ReadPlain(bytes.NewReader(document), &checksum.Declared{})
	body := sealing.Body(sealing.UnderFloor(ctx, plain), plain.Facts)
	defer body.Close()
	sealed, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("seal the setting %s: %w", s.stateKey, err)
	}
	h := http.Header{"Content-Type": {"application/octet-stream"}}
	if etag != "" {
		h.Set("If-Match", etag)
	}
	sealing.SetMetadata(h)
	if err := s.State().Put(ctx, s.stateBucket, s.stateKey, &upstream.Request{Header: h, Bytes: sealed}); err != nil {
		return fmt.Errorf("put the setting %s: %w", s.stateKey, err)
	}
	return nil
}

func (s setting) remove(ctx context.Context) error {
	req, err := s.State().Request(http.MethodDelete, s.stateBucket, s.stateKey)
	if err != nil {
		return err
	}
	resp, err := s.Upstream.Do(ctx, req)
	if upstream.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the setting %s: %w", s.stateKey, err)
	}
	return resp.Body.Close()
}

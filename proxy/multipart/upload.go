package multipart

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

const (
	// uploadFolder holds the state of multipart uploads among the state objects.
	uploadFolder = "uploads/"
	// stateKey is the object with the upload's key in an upload's folder; beside it are the records
	// of its parts.
	stateKey = "key"
	// bodyPrefix begins the name of the object with the body of a part that is not in the store's
	// upload (number 10,000).
	bodyPrefix = "body-"
)

// Upload is a multipart upload created by this proxy or another one.
type Upload struct {
	Target
	all     *Uploads
	store   upstream.Upload
	hash    [16]byte // of the id, as in records and trailer
	options envelope.Upload
	dek     *envelope.DEK
}

// ID is the id of the store's upload.
func (u *Upload) ID() s3name.UploadID { return u.store.ID }

// Checksum is the checksum that the object will have.
func (u *Upload) Checksum() Checksum { return Checksum{u.options.Checksum, u.options.Type} }

// Close destroys the upload's key.
func (u *Upload) Close() { u.dek.Destroy() }

func (u *Upload) name() Name { return u.Target.name(u.store.ID) }

// keyName is what the wrapped key in the upload's state is bound to.
func (u *Upload) keyName() kms.Name {
	return kms.Name{Bucket: u.KeyBucket(u.Bucket), Key: u.Key.String(), Kind: envelope.KindMultipart, UploadID: u.store.ID.String()}
}

// FolderOf is where the state of an upload is; see docs/FORMAT.md.
func FolderOf(at state.Place, n Name) (stateBucket s3name.Bucket, prefix string) {
	sum := n.sum()
	stateBucket, prefix = at.Of(n.Bucket)
	return stateBucket, prefix + uploadFolder + hex.EncodeToString(sum[:]) + "/"
}

// folder is where the upload's state is.
func (u *Upload) folder() (stateBucket s3name.Bucket, prefix string) {
	return FolderOf(u.Place, u.name())
}

// uploadState is the body of the state object. The sweep, which has only the folder's name, needs
// key and upload.
type uploadState struct {
	Format  int    `json:"format"`
	Key     string `json:"key"`
	Upload  string `json:"upload"`
	Options []byte `json:"options"` // sealed
}

// maxState limits how much of a state object is read.
const maxState = 16 << 10

// savedUpload is what the store holds of an upload, still wrapped.
type savedUpload struct {
	meta    *envelope.Metadata
	options []byte
}

// save puts the state of a new upload, so that any replica can take its parts.
func (u *Upload) save(ctx context.Context) error {
	meta, err := u.Keyring.WrapKey(ctx, u.keyName(), u.dek)
	if err != nil {
		return err
	}
	fields, err := object.EncodeMetadata(u.dek, meta, 0, envelope.Facts{})
	if err != nil {
		return err
	}
	sealed, err := u.dek.SealUpload(u.hash, u.options)
	if err != nil {
		return err
	}
	body, err := json.Marshal(uploadState{Format: envelope.Format, Key: u.Key.String(), Upload: u.store.ID.String(), Options: sealed})
	if err != nil {
		return err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	for name, value := range fields {
		h[object.MetaPrefix+name] = []string{value}
	}
	return u.putState(ctx, stateKey, &upstream.Request{Header: h, Bytes: body})
}

// putState puts an object into the upload's folder; req has its body and headers.
func (u *Upload) putState(ctx context.Context, name string, req *upstream.Request) error {
	stateBucket, folder := u.folder()
	return u.State().Put(ctx, stateBucket, folder+name, req)
}

// ErrNoState says that the store has no state of an upload: it was aborted, completed, or not
// created through s3proxy.
var ErrNoState = errors.New("no state of this upload")

// loadUpload reads the state of an upload; ErrNoState if there is none.
func loadUpload(ctx context.Context, o *object.Objects, n Name) (savedUpload, error) {
	stateBucket, folder := FolderOf(o.Place, n)
	req, err := o.State().Request(http.MethodGet, stateBucket, folder+stateKey)
	if err != nil {
		return savedUpload{}, err
	}
	resp, err := o.Upstream.Do(ctx, req)
	if errors.Is(err, s3err.NoSuchKey) {
		return savedUpload{}, fmt.Errorf("%w: %w", ErrNoState, err)
	}
	if err != nil {
		return savedUpload{}, err
	}
	defer resp.Body.Close()
	fields, err := object.MetadataFields(resp.Header)
	if err != nil {
		return savedUpload{}, err
	}
	var state uploadState
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxState)).Decode(&state); err != nil {
		return savedUpload{}, fmt.Errorf("%w: the upload's state: %w", upstream.ErrStored, err)
	}
	if state.Format != envelope.Format || state.Key != n.Key.String() || state.Upload != n.ID.String() {
		return savedUpload{}, fmt.Errorf("%w: the upload's state is of another upload or format", upstream.ErrStored)
	}
	meta, err := envelope.ParseMetadata(fields)
	if err != nil {
		return savedUpload{}, err
	}
	return savedUpload{meta: meta, options: state.Options}, nil
}

// load reads the upload's state again.
func (u *Upload) load(ctx context.Context) (savedUpload, error) {
	return loadUpload(ctx, u.Objects, u.name())
}

// hasState reports whether anything of the upload's state exists.
func (u *Upload) hasState(ctx context.Context) (bool, error) {
	stateBucket, folder := u.folder()
	page, err := u.Upstream.ListAny(ctx, upstream.Request{Bucket: stateBucket}, folder, "", 1)
	return err == nil && len(page.Entries()) > 0, err
}

// removeKey removes the upload's key: from then on, no replica takes parts for it. If a default
// retention makes the store lock the key for a minute, it gets a delete marker, and is swept later.
func (u *Upload) removeKey(ctx context.Context) error {
	stateBucket, folder := u.folder()
	err := u.State().Remove(ctx, stateBucket, folder+stateKey)
	if !errors.Is(err, state.ErrLocked) {
		return err
	}
	key, err := u.Place.OwnKey(folder + stateKey)
	if err != nil {
		return err
	}
	resp, err := u.Upstream.Do(ctx, &upstream.Request{Method: http.MethodDelete, Bucket: stateBucket, Key: key})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// removeRecords deletes everything else in the upload's folder.
func (u *Upload) removeRecords(ctx context.Context) error {
	stateBucket, folder := u.folder()
	return u.State().Remove(ctx, stateBucket, folder)
}

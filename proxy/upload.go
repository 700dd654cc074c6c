package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// The steps of a multipart upload: each is one request to the store that changes
// something, and the proxy, the store or the connection may end before or after
// it. model_test.go explores what then is left. Errors carry these names.
const (
	stepCreate        = "create the upload"
	stepPutState      = "put the upload's state"
	stepSendPart      = "send the part"
	stepPutRecord     = "put the part's record"
	stepListParts     = "list the parts"
	stepSendTrailer   = "send the trailer"
	stepComplete      = "complete the upload"
	stepCheckObject   = "look whether the object is this upload's"
	stepRemoveKey     = "remove the upload's key"
	stepAbort         = "abort the upload"
	stepRemoveRecords = "remove the upload's records"
	stepFindUpload    = "ask for the upload of a state"
	stepMarkGone      = "mark the upload as gone"
	stepForgetGone    = "forget that the upload was gone"
)

// steps are all of them, for the model.
var steps = []string{
	stepCreate, stepPutState, stepSendPart, stepPutRecord, stepListParts, stepSendTrailer, stepComplete, stepCheckObject,
	stepRemoveKey, stepAbort, stepRemoveRecords, stepFindUpload, stepMarkGone, stepForgetGone,
}

func during(step string, err error) error { return fmt.Errorf("%s: %w", step, err) }

const (
	// uploadFolder has the state of multipart uploads among the proxy's own objects.
	uploadFolder = "uploads/"
	// stateKey is the object in an upload's folder that has its key; beside it are
	// the records of its parts.
	stateKey = "key"
	// bodyPrefix begins the name of the object that has the body of a part that is
	// not in the upload itself (number 10,000).
	bodyPrefix = "body-"
)

// upload is a multipart upload that this proxy, or another one, has begun.
type upload struct {
	*object.Objects
	upstream.Upload
	hash    [16]byte // of the id, as it stands in records and summary
	options envelope.Upload
	dek     *envelope.DEK
}

// uploadOf is an upload of which the id alone is known.
func uploadOf(o *object.Objects, bucket s3name.Bucket, key s3name.Key, id s3name.UploadID, unsigned bool) *upload {
	return &upload{Objects: o, Upload: upstream.Upload{Client: o.Upstream, Bucket: bucket, Key: key, ID: id, Unsigned: unsigned}, hash: envelope.UploadHash(id.String())}
}

// uploadName tells one upload from all others.
type uploadName struct {
	bucket s3name.Bucket
	key    s3name.Key
	id     s3name.UploadID
}

// close destroys the upload's key.
func (u *upload) close() { u.dek.Destroy() }

// folderOf is where the state of an upload is; docs/FORMAT.md.
func folderOf(at state.Place, bucket s3name.Bucket, key s3name.Key, id s3name.UploadID) (stateBucket s3name.Bucket, prefix string) {
	sum := sha256.Sum256(kms.Context{"bucket": bucket.String(), "key": key.String(), "upload": id.String()}.Canonical())
	stateBucket, prefix = at.Of(bucket)
	return stateBucket, prefix + uploadFolder + hex.EncodeToString(sum[:]) + "/"
}

// folder is where the upload's state is.
func (u *upload) folder() (stateBucket s3name.Bucket, prefix string) {
	return folderOf(u.Place, u.Bucket, u.Key, u.ID)
}

// uploadState is the body of the state object. Key and upload are there for the
// sweep, which has only the folder's name.
type uploadState struct {
	Format  int    `json:"format"`
	Key     string `json:"key"`
	Upload  string `json:"upload"`
	Options []byte `json:"options"` // sealed
}

// maxState bounds what is read of a state object.
const maxState = 16 << 10

// savedUpload is what the store has of an upload, still wrapped.
type savedUpload struct {
	meta    *envelope.Metadata
	options []byte
}

// uploadCache saves reading the state again for each part. An entry is never
// stale: an upload's state does not change, and whether the upload is still there
// is for the store to say.
type uploadCache struct {
	lru  *lru.Cache[uploadName, savedUpload]
	sums *otter.Cache[uploadName, uploadSum] // for listings, as stateCache; 50,000 take about 20 MB
}

// uploadSum is the kind of checksum that an upload will have.
type uploadSum struct {
	algorithm envelope.Algorithm
	kind      envelope.ChecksumType
}

func newUploadCache() *uploadCache {
	c, err := lru.New[uploadName, savedUpload](1024)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &uploadCache{c, otter.Must(&otter.Options[uploadName, uploadSum]{MaximumSize: 50_000})}
}

// saveUpload puts the state of a new upload, so that any replica can take its parts.
func (u *upload) saveUpload(ctx context.Context) error {
	meta, err := u.Keyring.WrapKey(ctx, kms.Name{Bucket: u.KeyBucket(u.Bucket), Key: u.Key.String(), Kind: envelope.KindMultipart, UploadID: u.ID.String()}, u.dek)
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
	body, err := json.Marshal(uploadState{Format: envelope.Format, Key: u.Key.String(), Upload: u.ID.String(), Options: sealed})
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
func (u *upload) putState(ctx context.Context, name string, req *upstream.Request) error {
	stateBucket, folder := u.folder()
	return u.State().Put(ctx, stateBucket, folder+name, req)
}

// openUpload finds the state of the upload that the request names.
func (x *exchange) openUpload(ctx context.Context) (*upload, error) {
	u, err := x.findUpload(ctx, x.key, x.uploadID)
	return u, x.noUpload(ctx, err)
}

// findUpload finds the state of an upload; errNoState if there is none.
func (x *exchange) findUpload(ctx context.Context, key s3name.Key, id s3name.UploadID) (*upload, error) {
	name := uploadName{x.bucket, key, id}
	saved, cached := x.uploads.lru.Get(name)
	if !cached {
		var err error
		if saved, err = loadUpload(ctx, x.Objects, x.bucket, key, id); err != nil {
			return nil, err
		}
	}
	u := uploadOf(x.Objects, x.bucket, key, id, x.unsigned())
	var err error
	u.dek, err = x.Keyring.OpenKey(ctx, kms.Name{Bucket: x.KeyBucket(x.bucket), Key: key.String(), Kind: envelope.KindMultipart, UploadID: id.String()}, saved.meta)
	if errors.Is(err, kms.ErrBelowFloor) {
		return nil, s3err.NoSuchUpload.WithMessage("The keys of this bucket were made anew since this upload was begun; please begin it again.").Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("the upload's state: %w", err)
	}
	if u.options, err = u.dek.OpenUpload(u.hash, saved.options); err != nil {
		u.close()
		return nil, fmt.Errorf("the upload's state: %w", err)
	}
	x.uploads.lru.Add(name, saved)
	return u, nil
}

// errNoState says that the store has no state of an upload.
var errNoState = errors.New("no state of this upload")

// loadUpload reads the state of an upload; errNoState if there is none.
func loadUpload(ctx context.Context, o *object.Objects, bucket s3name.Bucket, key s3name.Key, id s3name.UploadID) (savedUpload, error) {
	stateBucket, folder := folderOf(o.Place, bucket, key, id)
	req, err := o.State().Request(http.MethodGet, stateBucket, folder+stateKey)
	if err != nil {
		return savedUpload{}, err
	}
	resp, err := o.Upstream.Do(ctx, req)
	if errors.Is(err, s3err.NoSuchKey) {
		return savedUpload{}, fmt.Errorf("%w: %w", errNoState, err)
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
	if state.Format != envelope.Format || state.Key != key.String() || state.Upload != id.String() {
		return savedUpload{}, fmt.Errorf("%w: the upload's state is of another upload or format", upstream.ErrStored)
	}
	meta, err := envelope.ParseMetadata(fields)
	if err != nil {
		return savedUpload{}, err
	}
	return savedUpload{meta: meta, options: state.Options}, nil
}

// noUpload is the answer about an upload without a state of ours: it is not there. Was it
// begun past the proxy, then its parts would be plaintext; and an id that we have not seen
// the store make does not go to the store. Whether an anonymous client may ask at all is
// for the store to say first, which is asked for an upload that it cannot have.
func (x *exchange) noUpload(ctx context.Context, err error) error {
	if !errors.Is(err, errNoState) {
		return err
	}
	if x.unsigned() {
		u := uploadOf(x.Objects, x.bucket, x.key, noSuchID, true)
		if refused := u.IsThere(ctx); refused != nil {
			return refused
		}
	}
	return x.bucketFirst(ctx, s3err.NoSuchUpload.Because(err))
}

// partRecord is what is kept of a part that was sent, and when.
type partRecord struct {
	envelope.Record
	name         string // of its state object
	lastModified time.Time
}

// records reads the records of parts by their names in these spans, and maybe others, and
// whether a sweep has marked the upload as gone (goneSpan). Names that are no record, or do
// not authenticate, are not ours.
func (u *upload) records(ctx context.Context, spans []nameSpan) (found map[int][]partRecord, marked bool, err error) {
	found = map[int][]partRecord{}
	err = u.eachState(ctx, spans, func(name string, modified time.Time) {
		if name == stateKey || strings.HasPrefix(name, bodyPrefix) {
			return
		}
		if name == goneMark {
			marked = true
			return
		}
		if r, err := u.dek.OpenRecord(u.hash, name); err == nil {
			found[r.Part.Number] = append(found[r.Part.Number], partRecord{r, name, modified})
		}
	})
	return found, marked, err
}

// hasState tells whether anything is kept of the upload.
func (u *upload) hasState(ctx context.Context) (bool, error) {
	stateBucket, folder := u.folder()
	page, err := u.Upstream.ListAny(ctx, upstream.Request{Bucket: stateBucket}, folder, "", 1)
	return err == nil && len(page.Entries()) > 0, err
}

// removeKey takes the upload's key away: from then on no replica takes it for one
// that is going on. One that the store keeps for the minute of its retention (lockState)
// gets a delete marker, and is swept later.
func (u *upload) removeKey(ctx context.Context) error {
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

// removeRecords deletes what else is in the upload's folder.
func (u *upload) removeRecords(ctx context.Context) error {
	stateBucket, folder := u.folder()
	return u.State().Remove(ctx, stateBucket, folder)
}

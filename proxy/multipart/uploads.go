package multipart

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/semaphore"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Uploads is what a process knows about multipart uploads: caches, and the locks of those being
// completed. It is safe for concurrent use. Everything that must last is in the store.
type Uploads struct {
	log    *slog.Logger
	budget *semaphore.Weighted
	// Page is how many entries of a listing to request at once; tests lower it.
	Page int

	states     *lru.Cache[Name, savedUpload]
	checksums  *otter.Cache[nameSum, Checksum] // for listings: 200,000 take about 35 MB
	completing locks
	removals   *removals
	records    *recordCache

	sweptMu sync.Mutex
	swept   map[s3name.Bucket]string // buckets that SweepSeen looks at, and behind what next
	sweep   atomic.Pointer[SweepState]
	// mostInRound is for each bucket; tests lower it.
	mostInRound int
}

// NewUploads returns the Uploads of a process. budget, in bytes, limits the small parts held in
// memory; beyond it they go through temporary files.
func NewUploads(log *slog.Logger, budget *semaphore.Weighted) *Uploads {
	// An entry is never stale: an upload's state does not change, and only the store decides
	// whether the upload still exists.
	states, err := lru.New[Name, savedUpload](1024)
	if err != nil {
		panic(err) // only if the size is below one
	}
	return &Uploads{
		log: log, budget: budget, Page: s3xml.MaxEntries,
		states: states, checksums: otter.Must(&otter.Options[nameSum, Checksum]{MaximumSize: 200_000}),
		removals: newRemovals(), records: newRecordCache(), swept: map[s3name.Bucket]string{}, mostInRound: mostInRound,
	}
}

// Name identifies an upload.
type Name struct {
	Bucket s3name.Bucket
	Key    s3name.Key
	ID     s3name.UploadID
}

// nameSum is a hash of a Name, and much smaller.
type nameSum [sha256.Size]byte

func (n Name) sum() nameSum {
	return sha256.Sum256(kms.Context{"bucket": n.Bucket.String(), "key": n.Key.String(), "upload": n.ID.String()}.Canonical())
}

// Target is the object that an upload is for, and the client.
type Target struct {
	*object.Objects
	Bucket   s3name.Bucket
	Key      s3name.Key
	Unsigned bool // the store decides about the client
}

func (t Target) name(id s3name.UploadID) Name { return Name{t.Bucket, t.Key, id} }

// upload returns an upload of which only the id is known.
func (a *Uploads) upload(t Target, id s3name.UploadID) *Upload {
	return &Upload{
		Target: t, all: a, hash: envelope.UploadHash(id.String()),
		store: upstream.Upload{Client: t.Upstream, Bucket: t.Bucket, Key: t.Key, ID: id, Unsigned: t.Unsigned},
	}
}

// Open finds an upload by its state and opens its key; the caller closes it. An upload without state
// is NoSuchUpload, which wraps ErrNoState.
func (a *Uploads) Open(ctx context.Context, t Target, id s3name.UploadID) (*Upload, error) {
	u, err := a.find(ctx, t, id)
	return u, t.missing(ctx, err)
}

// find is Open, but fails only with ErrNoState.
func (a *Uploads) find(ctx context.Context, t Target, id s3name.UploadID) (*Upload, error) {
	name := t.name(id)
	saved, cached := a.states.Get(name)
	if !cached {
		var err error
		if saved, err = loadUpload(ctx, t.Objects, name); err != nil {
			return nil, err
		}
	}
	u := a.upload(t, id)
	var err error
	u.dek, err = t.Keyring.OpenKey(ctx, u.keyName(), saved.meta)
	if errors.Is(err, kms.ErrBelowFloor) {
		return nil, s3err.NoSuchUpload.WithMessage("The keys of this bucket were made anew since this upload was begun; please begin it again.").Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("the upload's state: %w", err)
	}
	if u.options, err = u.dek.OpenUpload(u.hash, saved.options); err != nil {
		u.Close()
		return nil, fmt.Errorf("the upload's state: %w", err)
	}
	a.states.Add(name, saved)
	return u, nil
}

// forgetEnded drops an upload from the cache if err says that the store no longer has it.
func (a *Uploads) forgetEnded(name Name, err error) {
	if errors.Is(err, s3err.NoSuchUpload) {
		a.states.Remove(name)
	}
}

// missing is the answer about an upload without a state of ours: NoSuchUpload. If the upload was
// created past the proxy, its parts would be plaintext; and an id that we did not see the store
// make must not go to the store. Whether an anonymous client may ask at all is the store's
// decision, so the store is asked first, with an upload that cannot exist.
func (t Target) missing(ctx context.Context, err error) error {
	if !errors.Is(err, ErrNoState) {
		return err
	}
	if t.Unsigned {
		none := &upstream.Upload{Client: t.Upstream, Bucket: t.Bucket, Key: t.Key, ID: s3name.NoUpload(), Unsigned: true}
		if refused := none.IsThere(ctx); refused != nil {
			return refused
		}
	}
	if refused := t.Upstream.AskBucket(ctx, t.Bucket, t.Unsigned); errors.Is(refused, s3err.NoSuchBucket) {
		return refused // S3 reports that first
	}
	return s3err.NoSuchUpload.Because(err)
}

// Checksum is the checksum that the object of an upload will have, and S3's "checksum type" for it.
type Checksum struct {
	Algorithm envelope.Algorithm
	Type      envelope.ChecksumType
}

// ChecksumOf returns the Checksum of one upload, which is cached.
func (a *Uploads) ChecksumOf(ctx context.Context, t Target, id s3name.UploadID) (Checksum, error) {
	if c, ok := a.checksums.GetIfPresent(t.name(id).sum()); ok {
		return c, nil
	}
	u, err := a.find(ctx, t, id)
	if err != nil {
		return Checksum{}, err
	}
	defer u.Close()
	c := u.Checksum()
	a.checksums.Set(t.name(id).sum(), c)
	return c, nil
}

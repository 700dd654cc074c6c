package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// listedState is an entry of a listing. etag and size come from the store and are replaced by
// those that GET and HEAD show. checksum is the store's, of the algorithm that the client named;
// it is removed from objects in parts, unless they are plaintext.
type listedState struct {
	key, version string // version only where the listing names it; the store's words
	etag         *string
	size         *int64
	checksum     *s3xml.ListedChecksum
}

// showStates turns the entries of a page into what clients see. Sizes are computed; a size that
// no encrypted object can have is shown unchanged. An object has to be asked for where its MD5 is
// shown, and where plaintext objects or those of the older s3proxy may be read, because the size does
// not tell these apart. One
// HEAD serves both; many run at once, and the answers are cached.
func (x *exchange) showStates(entries []listedState) error {
	if x.Passthrough {
		return nil
	}
	for _, e := range entries {
		if *e.size < 0 {
			return fmt.Errorf("%w: a listing with an object of %d bytes", upstream.ErrStored, *e.size)
		}
	}
	group, ctx := errgroup.WithContext(x.r.Context())
	group.SetLimit(maxSideBySide)
	for _, e := range entries {
		store := x.showByListing(e)
		if !x.mustAsk(store) {
			continue
		}
		id := stateID(x.bucket.String(), e.key, e.version, store.etag)
		if k, found := x.proxy.states.get(id); found {
			x.showKnown(e, store, k)
			continue
		}
		group.Go(func() error {
			k, err := x.known(ctx, e, id, store.etag, store.size)
			if err == nil {
				x.showKnown(e, store, k)
			}
			return err
		})
	}
	return group.Wait()
}

// storeState is what the store's listing says about an entry.
type storeState struct {
	etag     string
	size     int64
	checksum s3xml.ListedChecksum
	plain    int64 // the size of the plaintext, if it is an object of ours
	sized    bool  // an encrypted object can have this size
}

// showByListing changes what needs no further request, and returns the entry as it was.
func (x *exchange) showByListing(e listedState) storeState {
	s := storeState{etag: *e.etag, size: *e.size, checksum: *e.checksum}
	s.plain, s.sized = envelope.PlainSize(s.size)
	*e.etag = object.ClientETag(s.etag)
	if s.sized && !x.AllowPlaintextReads && !x.mayBeOld(s) {
		*e.size = s.plain
	}
	if strings.Contains(s.etag, "-") { // for an object in parts it is that of the store's own upload
		*e.checksum = s3xml.ListedChecksum{}
	}
	if x.isNoneOfOurs(s) && !x.mayBeOld(s) && x.ETag == object.ETagMD5 && x.AllowPlaintextReads {
		*e.etag = s.etag
	}
	return s
}

// isNoneOfOurs tells that an entry cannot be an encrypted object. One of no bytes may be of kind
// empty.
func (x *exchange) isNoneOfOurs(s storeState) bool {
	return !s.sized && (s.size > 0 || x.ETag != object.ETagMD5)
}

// mustAsk tells whether the entry's object has to be asked for.
func (x *exchange) mustAsk(s storeState) bool {
	return x.mayBeOld(s) || !x.isNoneOfOurs(s) && (x.AllowPlaintextReads || x.ETag == object.ETagMD5)
}

// mayBeOld tells whether an entry can be an object of the older s3proxy, which is only known by its
// headers.
func (x *exchange) mayBeOld(s storeState) bool {
	return x.Legacy != nil && s.size >= legacy.Overhead
}

// showKnown adds what is known about the entry's object.
func (x *exchange) showKnown(e listedState, s storeState, k knownState) {
	switch {
	case k.now != nil:
		*e.size, *e.etag, *e.checksum = k.now.size, k.now.etag, s3xml.ListedChecksum{}
		return
	case k.old:
		*e.size, *e.checksum = s.size-legacy.Overhead, s3xml.ListedChecksum{}
	case s.sized && !k.plain:
		*e.size = s.plain
	}
	if k.plain && x.AllowPlaintextReads {
		*e.checksum = s.checksum
	}
	switch {
	case k.shown != "":
		*e.etag = k.shown
	case k.plain && x.ETag == object.ETagMD5 && x.AllowPlaintextReads:
		*e.etag = s.etag
	}
}

// knownState is what is kept of one state of an object.
type knownState struct {
	plain bool   // the proxy did not write it
	old   bool   // the older s3proxy wrote it
	shown string // its ETag; "" for the opaque one
	now   *listedNow
}

// listedNow is an object that is not in the listed state any more.
type listedNow struct {
	size int64
	etag string
}

// stateCache caches what is known about objects' states, for listings. A state is named by bucket,
// key, version and the store's ETag, so an entry is never stale. A scan does not push out
// everything (W-TinyLFU): in a bucket of more objects than fit, a LIST after the first finds most
// of those that fit, where an LRU would find none.
type stateCache struct {
	states *otter.Cache[[sha256.Size]byte, knownState]
	looks  object.Lookups
}

// stateCacheEntries take about 35 MB.
const stateCacheEntries = 200_000

func newStateCache(entries int) *stateCache {
	return &stateCache{states: otter.Must(&otter.Options[[sha256.Size]byte, knownState]{MaximumSize: entries})}
}

// stateID names a state in the cache.
func stateID(bucket, key, version, etag string) [sha256.Size]byte {
	b := make([]byte, 0, 256) // of most names
	for _, name := range [...]string{bucket, key, version, etag} {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return sha256.Sum256(b)
}

func (c *stateCache) get(id [sha256.Size]byte) (k knownState, found bool) {
	k, found = c.states.GetIfPresent(id)
	c.looks.Count(found)
	return k, found
}

// known asks the store for what a listing does not tell about an object. One that was replaced or
// deleted meanwhile, or that cannot be read, is shown by its size, with the opaque ETag.
func (x *exchange) known(ctx context.Context, e listedState, id [sha256.Size]byte, etag string, size int64) (knownState, error) {
	key, version, err := x.listedName(e)
	if err != nil { // no client can ask for it
		return knownState{}, nil
	}
	resp, err := x.askState(ctx, key, version)
	if upstream.IsNotFound(err) || !x.AllowPlaintextReads && object.Unreadable(err) {
		return knownState{}, nil
	}
	if err != nil {
		return knownState{}, err
	}
	resp.Body.Close()
	k := knownState{plain: resp.Header.Get(object.MetaHeaderPrefix+"Format") == ""}
	stored, err := upstream.WholeSize(resp)
	if err != nil {
		return k, err
	}
	if object.BareETag(resp.Header.Get("Etag")) != object.BareETag(etag) || stored != size {
		return x.knownNow(ctx, key, k, resp) // another state
	}
	if k.plain && x.Legacy != nil {
		s, err := x.ReadStored(x.bucket, key, x.unsigned(), resp)
		k.old = err == nil && s.Legacy != nil
		k.plain = !k.old
	}
	if x.ETag == object.ETagMD5 && !k.plain {
		tag, err := x.TagIn(ctx, x.bucket, key, x.unsigned(), resp)
		switch {
		case object.Unreadable(err) || errors.Is(err, object.ErrChanged):
			return k, nil
		case err != nil:
			return k, err
		case tag.Plain:
			k.shown = tag.Shown
		}
	}
	if etag != "" { // nothing else tells two states apart
		x.proxy.states.states.Set(id, k)
	}
	return k, nil
}

// knownNow tells of an object that was replaced between the listing and the answer. Where there may
// be old objects the listing's size says too little: one that is migrated meanwhile is shown as it is
// then, and not kept.
func (x *exchange) knownNow(ctx context.Context, key s3name.Key, k knownState, resp *http.Response) (knownState, error) {
	if x.Legacy == nil {
		return k, nil
	}
	s, err := x.ReadStored(x.bucket, key, x.unsigned(), resp)
	if err != nil {
		return k, nil // it cannot be read
	}
	tag, err := x.ObjectETag(ctx, s)
	if object.Unreadable(err) || errors.Is(err, object.ErrChanged) {
		return k, nil
	}
	return knownState{now: &listedNow{s.Size, tag.Shown}}, err
}

// listedName checks what a listing calls an object.
func (x *exchange) listedName(e listedState) (key s3name.Key, version s3name.VersionID, err error) {
	if key, err = x.Place.ClientKey(e.key); err == nil && e.version != "" {
		version, err = s3name.ParseVersionID(e.version)
	}
	return key, version, err
}

// askState asks for the headers of a listed object. versitygw 1.8 finds some versions by GET alone,
// if the current object has no version id. In a bucket without versions, and for a folder, it
// lists a version "null" that it then does not find: the current state may be that one, and known
// checks whether it is.
func (x *exchange) askState(ctx context.Context, key s3name.Key, version s3name.VersionID) (*http.Response, error) {
	req := &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Key: key, VersionID: version, Unsigned: x.unsigned()}
	resp, err := x.Upstream.Do(ctx, req)
	status, refused := upstream.Status(err)
	if !refused || version == (s3name.VersionID{}) {
		return resp, err
	}
	if status == http.StatusNotFound {
		req.Method, req.Header = http.MethodGet, http.Header{"Range": {"bytes=0-0"}}
		if found, getErr := x.Upstream.Do(ctx, req); getErr == nil {
			return found, nil
		}
	}
	if version.String() == object.NoVersion {
		req.Method, req.Header, req.VersionID = http.MethodHead, nil, s3name.VersionID{}
		return x.Upstream.Do(ctx, req)
	}
	return resp, err
}

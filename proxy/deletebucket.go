package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// deleteBucket deletes a bucket. If the store says that it is not empty, it may hold only our own
// objects; these are then deleted first. The store is asked before, so that nothing is removed
// for a client that may not delete the bucket. If the store refuses again, because a client wrote
// an object meanwhile, the records are put back: objects may need them. What a separate state
// bucket holds for the bucket is deleted after the bucket itself.
func deleteBucket(x *exchange) error {
	ctx := x.r.Context()
	req := &upstream.Request{Method: http.MethodDelete, Bucket: x.bucket, Header: x.passedHeaders(), Unsigned: x.unsigned()}
	resp, err := x.Upstream.Do(ctx, req)
	if errors.Is(err, s3err.BucketNotEmpty) {
		lonely, failed := x.onlyState(ctx)
		if failed != nil {
			return failed
		}
		if !lonely {
			return err
		}
		var removed []stateObject
		if removed, failed = x.removeOwn(ctx, x.bucket, x.Place.Root()); failed != nil {
			x.restoreOwn(removed)
			return failed
		}
		resp, err = x.Upstream.Do(ctx, req)
		if status, refused := upstream.Status(err); err != nil && (!refused || status != http.StatusNotFound) {
			x.restoreOwn(removed)
		}
	}
	if err != nil {
		return err
	}
	resp.Body.Close()
	x.Keyring.ForgetBucket(x.KeyBucket(x.bucket))
	x.proxy.defaults.set(x.bucket, noEncryptionSet.label())
	x.proxy.cors.set(x.bucket, nil)
	if stateBucket, prefix := x.Place.Of(x.bucket); stateBucket != x.bucket {
		if _, err := x.removeOwn(ctx, stateBucket, prefix); err != nil {
			x.proxy.log.Warn("a deleted bucket's state objects are left in the state bucket", "bucket", x.bucket, "state-bucket", stateBucket, "prefix", prefix, "error", err)
		}
	}
	x.passCommon(resp.Header)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// onlyState tells whether the bucket holds only our own objects, with their old versions and
// delete markers. It is false for the state bucket, whose objects belong to other buckets.
func (x *exchange) onlyState(ctx context.Context) (bool, error) {
	if x.Place.Bucket == x.bucket {
		return false, nil
	}
	first, err := x.Upstream.ListAny(ctx, x.asked(x.bucket), "", "", 1)
	if err != nil || len(first.Entries()) == 0 || !strings.HasPrefix(string(first.Entries()[0].Key), x.Place.Root()) {
		return false, err
	}
	behind, err := x.Upstream.ListAny(ctx, x.asked(x.bucket), "", x.Place.Past(), 1)
	return err == nil && len(behind.Entries()) == 0, err
}

// records keeps the window records that are in the bucket itself.
func (x *exchange) records() state.Records {
	return state.Records{Store: x.Upstream, Place: state.Place{Prefix: x.Place.Prefix}}
}

// stateObject is one of our own objects. body is kept of what has to be put back.
type stateObject struct {
	key  s3name.Key
	body []byte
}

// errOwnLocked is the answer where only our own objects are left, under a retention of a minute.
var errOwnLocked = s3err.BucketNotEmpty.WithMessage("The bucket you tried to delete still holds objects of s3proxy's own, whose retention ends within a minute; please try again then.")

// removeOwn deletes our own objects whose keys begin with prefix, version by version where the
// store has versions. It returns those that it deleted. With an error it may return others, too.
func (x *exchange) removeOwn(ctx context.Context, bucket s3name.Bucket, prefix string) (removed []stateObject, err error) {
	for range state.MaxPages {
		page, err := x.Upstream.ListAny(ctx, x.asked(bucket), prefix, "", s3xml.MaxEntries)
		if err != nil {
			return removed, err
		}
		entries := page.Entries()
		if len(entries) == 0 {
			return removed, nil
		}
		list := upstream.Deletions{Quiet: true}
		for _, e := range entries {
			key, version, err := x.State().Entry(e, prefix)
			if err != nil {
				return removed, err
			}
			o := stateObject{key: key}
			if bucket == x.bucket {
				if o.body, err = x.keptOf(ctx, prefix, key.String()); err != nil { // what cannot be put back is not deleted
					return removed, err
				}
			}
			removed = append(removed, o)
			list.Objects = append(list.Objects, upstream.Deletion{Key: key, Version: version})
		}
		switch err := x.State().Delete(ctx, bucket, list); {
		case errors.Is(err, state.ErrLocked):
			return removed, errOwnLocked.Because(err)
		case err != nil:
			return removed, err
		}
	}
	return removed, errors.New("the store goes on listing what was deleted")
}

// keptOf reads one of our own objects in the bucket itself, if it has to be put back.
func (x *exchange) keptOf(ctx context.Context, prefix, key string) (body []byte, err error) {
	name := strings.TrimPrefix(key, prefix)
	id, isRecord := strings.CutPrefix(name, state.RecordFolder)
	switch {
	case isRecord:
		if body, err = x.records().GetRecord(ctx, x.bucket.String(), id); errors.Is(err, kms.ErrNoRecord) {
			err = nil
		}
	case name == state.FloorName:
		if body, _, err = x.records().GetFloor(ctx, x.bucket.String()); errors.Is(err, kms.ErrNoFloor) {
			err = nil
		}
	case name == encryptionName:
		body, err = encryptionBody(ctx, x.State(), x.bucket)
	case name == object.CORSRules:
		if body, err = x.ReadSetting(ctx, x.bucket, object.CORSRules); object.Unreadable(err) {
			err = nil // of no use to anybody
		}
	}
	return body, err
}

// asked begins a request about our own objects. It is signed by the proxy even where the store
// lets an anonymous client delete the bucket.
func (x *exchange) asked(bucket s3name.Bucket) upstream.Request {
	return upstream.Request{Bucket: bucket, Header: x.passedHeaders()}
}

// restoreOwn puts records back; the client may be gone by then.
func (x *exchange) restoreOwn(removed []stateObject) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), time.Minute)
	defer cancel()
	for _, o := range removed {
		if o.body == nil {
			continue
		}
		var err error
		switch o.key.String() {
		case x.Place.Root() + state.FloorName:
			err = x.records().PutFloor(ctx, x.bucket.String(), "", o.body)
		case x.Place.Root() + encryptionName:
			err = putEncryption(ctx, x.State(), x.bucket, o.body)
		case x.Place.Root() + object.CORSRules:
			err = x.PutSetting(ctx, x.bucket, object.CORSRules, o.body)
		default:
			err = x.records().PutRecord(ctx, x.bucket.String(), strings.TrimPrefix(o.key.String(), x.Place.Root()+state.RecordFolder), o.body)
		}
		if err != nil && !errors.Is(err, kms.ErrRaced) {
			x.proxy.log.Error("a window record, or the bucket's floor, encryption setting or CORS rules, could not be put back after a refused DeleteBucket", "bucket", x.bucket, "record", o.key, "error", err)
		}
	}
}

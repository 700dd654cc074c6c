package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Store keeps the state objects in a store.
type Store struct {
	Client *upstream.Client
	Place  Place
}

// Put puts a state object; req has its body and headers.
func (s Store) Put(ctx context.Context, stateBucket s3name.Bucket, key string, req *upstream.Request) (err error) {
	if req.Key, err = s.Place.OwnKey(key); err != nil {
		return err
	}
	req.Method, req.Bucket = http.MethodPut, stateBucket
	req.Header = LockHeaders(ctx, s.Client, stateBucket, req.Header)
	if req.Body == nil { // a streamed body has a trailing checksum
		h := http.Header{"Content-Md5": {upstream.ContentMD5(req.Bytes)}}
		maps.Copy(h, req.Header)
		req.Header = h
	}
	resp, err := s.Client.Do(ctx, req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Request prepares a request for a state object.
func (s Store) Request(method string, stateBucket s3name.Bucket, key string) (*upstream.Request, error) {
	k, err := s.Place.OwnKey(key)
	return &upstream.Request{Method: method, Bucket: stateBucket, Key: k}, err
}

// Entry checks an entry of a listing of state objects below prefix.
func (s Store) Entry(e s3xml.ListedVersion, prefix string) (key s3name.Key, version s3name.VersionID, err error) {
	if !strings.HasPrefix(string(e.Key), prefix) {
		return key, version, fmt.Errorf("%w: %q listed under the prefix %q", upstream.ErrStored, e.Key, prefix)
	}
	if key, err = s.Place.OwnKey(string(e.Key)); err != nil || e.VersionID == "" {
		return key, version, err
	}
	if version, err = s3name.ParseVersionID(e.VersionID); err != nil {
		err = upstream.BadName(err)
	}
	return key, version, err
}

// Remove deletes all state objects whose keys begin with prefix, with all their versions.
func (s Store) Remove(ctx context.Context, stateBucket s3name.Bucket, prefix string) error {
	return s.removeEntries(ctx, stateBucket, prefix, func(string) bool { return true })
}

// RemoveFew is Remove where there are at most so many state objects; otherwise it deletes nothing.
func (s Store) RemoveFew(ctx context.Context, stateBucket s3name.Bucket, prefix string, most int) (removed bool, err error) {
	page, err := s.Client.ListAny(ctx, upstream.Request{Bucket: stateBucket}, prefix, "", most+1)
	if err != nil {
		return false, err
	}
	entries := page.Entries()
	if len(entries) > most {
		return false, nil
	}
	return true, s.deleteEntries(ctx, stateBucket, prefix, entries)
}

// removeEntries deletes the state objects below prefix that which selects.
func (s Store) removeEntries(ctx context.Context, stateBucket s3name.Bucket, prefix string, which func(key string) bool) error {
	for range MaxPages {
		page, err := s.Client.ListAny(ctx, upstream.Request{Bucket: stateBucket}, prefix, "", s3xml.MaxEntries)
		if err != nil {
			return err
		}
		entries := page.Entries()
		full := len(entries) >= s3xml.MaxEntries
		entries = slices.DeleteFunc(entries, func(e s3xml.ListedVersion) bool { return !which(string(e.Key)) })
		if len(entries) == 0 {
			return nil
		}
		if err := s.deleteEntries(ctx, stateBucket, prefix, entries); err != nil {
			return err
		}
		if !full {
			return nil
		}
	}
	return errors.New("the store goes on listing what was deleted")
}

// deleteEntries deletes what was listed below prefix.
func (s Store) deleteEntries(ctx context.Context, stateBucket s3name.Bucket, prefix string, entries []s3xml.ListedVersion) error {
	list := upstream.Deletions{Quiet: true}
	for _, e := range entries {
		key, version, err := s.Entry(e, prefix)
		if err != nil {
			return err
		}
		list.Objects = append(list.Objects, upstream.Deletion{Key: key, Version: version})
	}
	if len(list.Objects) == 0 {
		return nil
	}
	return s.Delete(ctx, stateBucket, list)
}

// MaxPages limits the work of one DeleteBucket: a million state objects.
const MaxPages = 1000

// Delete deletes state objects, bypassing a retention, which they have only because of the bucket's
// default (LockHeaders). It returns ErrLocked if the store keeps them.
func (s Store) Delete(ctx context.Context, stateBucket s3name.Bucket, list upstream.Deletions) error {
	for _, h := range []http.Header{nil, {upstream.BypassRetention: {"true"}}} {
		var result s3xml.DeleteResult
		_, err := s.Client.DeleteObjects(ctx, stateBucket, list, h, false, &result)
		switch {
		case h != nil && upstream.MayBeLocked(err):
			return fmt.Errorf("delete %s: %w: %w", list.Objects[0].Key, ErrLocked, err)
		case err != nil:
			return err
		case len(result.Errors) == 0:
			return nil
		case !upstream.SpeaksOfLock(result.Errors[0].Message):
			return fmt.Errorf("delete %s: %s: %s", result.Errors[0].Key, result.Errors[0].Code, result.Errors[0].Message)
		case h != nil:
			return fmt.Errorf("delete %s: %w", result.Errors[0].Key, ErrLocked)
		}
	}
	return nil
}

package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// inventory goes through the metadata of everything in a bucket: uploads in progress, settings,
// objects, and versions that are not current.
type inventory struct {
	walker   walker
	bucket   string
	rate     Rate
	progress Progress
	// upload is called first: an upload that ends meanwhile is then an object that the walk
	// has yet to visit.
	upload func(multipart.InProgress) error
	// object is called concurrently, for settings too. The metadata is nil for an object that is not of
	// format 1; old says that it is of the older s3proxy.
	object func(ctx context.Context, item Item, m *envelope.Metadata, old bool) error
}

// take runs the inventory. unreadable has what could not be read. An
// error of one of the functions ends it.
func (i *inventory) take(ctx context.Context) (unreadable Reasons, err error) {
	if err := i.walker.Uploads(ctx, i.bucket, i.upload); err != nil {
		return nil, err
	}
	unreadable = Reasons{}
	err = i.walker.Settings(ctx, i.bucket, func(item Item, m *envelope.Metadata, err error) error {
		if err != nil {
			unreadable[item] = err.Error()
			return nil
		}
		return i.object(ctx, item, m, false)
	})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	objects := walk{Rate: i.rate, at: Target{Bucket: i.bucket}, progress: i.progress, list: func(ctx context.Context, visit func(listed) error) error {
		return i.walker.Versions(ctx, i.bucket, "", visit)
	}}
	return unreadable, objects.each(ctx, func(ctx context.Context, l listed) (Step, error) {
		found, err := object.Inspect(ctx, i.walker.Store, i.bucket, l.Key, l.Version)
		gone, err := deletedSince(l, err)
		switch {
		case gone:
			return Step{}, nil
		case err == nil:
			return Step{}, i.object(ctx, named(l), found.Metadata, found.Legacy)
		case ctx.Err() != nil:
			return Step{}, ctx.Err()
		}
		mu.Lock()
		defer mu.Unlock()
		if len(unreadable) >= maxFailed {
			return Step{}, fmt.Errorf("%w: %w", errTooMany, err)
		}
		unreadable[named(l)] = err.Error()
		return Step{Failed: true}, nil
	})
}

// deletedSince tells by an object's error whether the listed object no longer exists. It returns
// any other error. Stores that write U+FFFD for what XML cannot express (versitygw 1.8) list a
// name under which there is nothing: such an object is not gone.
func deletedSince(l listed, err error) (bool, error) {
	if !errors.Is(err, s3err.NoSuchKey) && !errors.Is(err, s3err.NoSuchVersion) {
		return false, err
	}
	if strings.ContainsRune(l.Key, utf8.RuneError) {
		return false, fmt.Errorf("the store cannot list its name as it is (%v)", err)
	}
	return true, nil
}

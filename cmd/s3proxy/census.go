package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// census goes through the metadata of all that a bucket has: uploads in progress, objects,
// and versions that are not current.
type census struct {
	walker proxy.Walker
	bucket string
	pace   pace
	errOut io.Writer
	// upload is called before all others: an upload that ends meanwhile is then an object
	// that the walk has before it.
	upload func(proxy.InProgress) error
	// object is called for several at once. The metadata is nil for what is not encrypted.
	object func(ctx context.Context, name string, m *envelope.Metadata) error
}

// run tells what could not be looked at by name, with the reason. An error of one of the
// functions ends it.
func (c *census) run(ctx context.Context) (unseen map[string]string, err error) {
	if err := c.walker.Uploads(ctx, c.bucket, c.upload); err != nil {
		return nil, err
	}
	unseen = map[string]string{}
	var mu sync.Mutex
	objects := walk{pace: c.pace, errOut: c.errOut, list: func(ctx context.Context, visit func(proxy.Listed) error) error {
		return c.walker.Versions(ctx, c.bucket, "", visit)
	}}
	return unseen, objects.each(ctx, func(ctx context.Context, l proxy.Listed) error {
		found, err := object.Inspect(ctx, c.walker.Store, c.bucket, l.Key, l.Version)
		gone, err := deletedSince(l, err)
		switch {
		case gone:
			return nil
		case err == nil:
			return c.object(ctx, listedName(l), found.Metadata)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		mu.Lock()
		defer mu.Unlock()
		if len(unseen) >= maxFailed {
			return fmt.Errorf("%w: %w", errTooMany, err)
		}
		unseen[listedName(l)] = err.Error()
		return nil
	})
}

// deletedSince tells by the error that it gave whether a listed object is there no more. It
// gives any other error back. Stores that write U+FFFD for what XML has no place for
// (versitygw 1.8) list a name under which there is nothing: that one is not gone.
func deletedSince(l proxy.Listed, err error) (bool, error) {
	if !errors.Is(err, s3err.NoSuchKey) && !errors.Is(err, s3err.NoSuchVersion) {
		return false, err
	}
	if strings.ContainsRune(l.Key, utf8.RuneError) {
		return false, fmt.Errorf("the store cannot list its name as it is (%v)", err)
	}
	return true, nil
}

func listedName(l proxy.Listed) string {
	if l.Old {
		return fmt.Sprintf("%q version %s", l.Key, l.Version)
	}
	return fmt.Sprintf("%q", l.Key)
}

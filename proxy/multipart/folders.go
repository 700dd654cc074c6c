package multipart

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// folders are those of the uploads of one bucket.
type folders struct {
	stateBucket s3name.Bucket
	prefix      string // of their keys
	page        int    // entries; 0: as many as S3 gives
	list        func(ctx context.Context, at upstream.Request, prefix, after string, limit int) (*s3xml.AnyList, error)
}

// folder is one of them.
type folder struct {
	name string
	file bool // none: an object that is in no folder
}

// behind is greater than all that is in the folder: 0 comes after the slash.
func (f folder) behind() string {
	if f.file {
		return f.name
	}
	return f.name + "0"
}

// pages visits the folders whose names are greater than after, in their order, by pages of a
// listing. What a page has of them is enough: the next page begins behind the last one, so that no
// folder costs more than a request, however many objects it has. The next page is not requested
// before visit returns; an error of it ends all.
func (f folders) pages(ctx context.Context, after string, visit func([]folder) error) error {
	for {
		from := f.prefix + after
		if after == "" {
			from = ""
		}
		page, err := f.list(ctx, upstream.Request{Bucket: f.stateBucket}, f.prefix, from, cmp.Or(f.page, s3xml.MaxEntries))
		if err != nil {
			return fmt.Errorf("list the uploads' state in %s: %w", f.stateBucket, err)
		}
		entries := page.Entries()
		if len(entries) == 0 {
			return nil
		}
		// Some stores list delete markers behind all versions of a page.
		slices.SortFunc(entries, func(a, b s3xml.ListedVersion) int { return cmp.Compare(a.Key, b.Key) })
		var found []folder
		for _, e := range entries {
			rest, ours := strings.CutPrefix(string(e.Key), f.prefix)
			if !ours || rest <= after {
				return fmt.Errorf("%w: a listing that is not in order", upstream.ErrStored)
			}
			name, _, inFolder := strings.Cut(rest, "/")
			if at := (folder{name, !inFolder}); len(found) == 0 || at != found[len(found)-1] {
				found = append(found, at)
			}
		}
		if err := visit(found); err != nil {
			return err
		}
		after = found[len(found)-1].behind()
	}
}

package multipart

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// nameSpan is a range of names in an upload's folder: greater than after, up to last.
type nameSpan struct{ after, last string }

// goneSpan is the span of a sweep's mark.
var goneSpan = nameSpan{"g", goneMark}

// recordSpans are the spans that contain the names of the parts' records. Names sort by their
// digits ("10-" before "2-"), so there is a span for each number of digits.
func recordSpans(of []partRange) (spans []nameSpan) {
	for _, r := range of {
		for low := 1; low <= envelope.MaxParts; low *= 10 {
			if first, last := max(r.first, low), min(r.last, 10*low-1); first <= last {
				spans = append(spans, nameSpan{strconv.Itoa(first) + "-", strconv.Itoa(last) + "-~"})
			}
		}
	}
	return spans
}

// eachState visits the names in the upload's folder that are in these spans, and perhaps others. A
// folder that fits on one page takes one request.
func (u *Upload) eachState(ctx context.Context, spans []nameSpan, visit func(name string, modified time.Time)) error {
	slices.SortFunc(spans, func(a, b nameSpan) int { return cmp.Compare(a.after, b.after) })
	read := "" // the last name read
	for _, span := range spans {
		if span.last <= read {
			continue
		}
		var all bool
		var err error
		if read, all, err = u.eachStateIn(ctx, nameSpan{max(span.after, read), span.last}, visit); all || err != nil {
			return err
		}
	}
	return nil
}

// eachStateIn visits the names of one span, and returns the last name that was read; all says that
// this is the last name in the folder. It pages by the store's token, because otherwise MinIO lists
// from the start.
func (u *Upload) eachStateIn(ctx context.Context, span nameSpan, visit func(name string, modified time.Time)) (read string, all bool, err error) {
	stateBucket, folder := u.folder()
	read = span.after
	q := url.Values{"list-type": {"2"}, "prefix": {folder}, "start-after": {folder + read}, "max-keys": {strconv.Itoa(u.all.Page)}}
	for range state.MaxPages {
		var page s3xml.ListObjects
		if _, err := u.Upstream.GetXML(ctx, &upstream.Request{Bucket: stateBucket, Query: q}, &page); err != nil {
			return read, false, err
		}
		for _, o := range page.Contents {
			name, ok := strings.CutPrefix(string(o.Key), folder)
			if !ok || name <= read {
				return read, false, fmt.Errorf("%w: a listing that is not in order", upstream.ErrStored)
			}
			modified, err := time.Parse(time.RFC3339, o.LastModified)
			if err != nil {
				return read, false, fmt.Errorf("%w: the date of a state object: %w", upstream.ErrStored, err)
			}
			read = strings.Clone(name) // not a part of the whole list
			visit(read, modified)
		}
		if !page.IsTruncated || len(page.Contents) == 0 {
			return read, true, nil
		}
		if read >= span.last {
			return read, false, nil
		}
		q.Set("start-after", folder+read)
		if next := page.NextContinuationToken; next != nil && *next != "" {
			q.Del("start-after")
			q.Set("continuation-token", string(*next))
		}
	}
	return read, false, fmt.Errorf("%w: a listing without an end", upstream.ErrStored)
}

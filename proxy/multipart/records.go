package multipart

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// The parts of an upload are known from the store's list and from the names of the records. Both are
// read only as far as needed, so that a page of ListParts, or a Complete with a short list, does not
// cost a look at all parts.

// partRange is a range of part numbers, both ends included.
type partRange struct{ first, last int }

// partRecord is the record of a sending of a part.
type partRecord struct {
	envelope.Record
	name         string // of its state object
	lastModified time.Time
}

// records reads the part records in these spans, and perhaps others, and whether a sweep has marked
// the upload as gone (goneSpan). Names that do not authenticate are ignored.
func (u *Upload) records(ctx context.Context, spans []nameSpan) (found map[int][]partRecord, marked bool, err error) {
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

// sentParts are the sendings of parts that are in the store's list and also have a record of ours,
// by number, the newest first. There may be several if the store gives them the same ETag. Part
// 10,000 is known only by its records. The store's list alone is never trusted.
type sentParts struct {
	parts  map[int][]partRecord
	used   map[int]bool // numbers in the store's upload,
	told   int          // up to the number that was asked for
	marked bool         // as gone, by a sweep
}

// free returns the first number from this one on that is not in the store's upload: a client may
// have sent a part that it does not list, or be sending it. It never considers 10,000 used, because
// only the trailer of an earlier try can be there. It returns 10,000 if the store was not asked
// about the next numbers.
func (s *sentParts) free(number int) int {
	for number < envelope.MaxParts && s.used[number] {
		number++
	}
	if number > s.told {
		return envelope.MaxParts
	}
	return number
}

// sentParts reads what is known about the parts in these ranges, which must be in order.
func (u *Upload) sentParts(ctx context.Context, of []partRange) (*sentParts, error) {
	sent := &sentParts{used: map[int]bool{}}
	var stored []s3xml.ListedPart
	for _, r := range of {
		for after := max(r.first-1, sent.told); after < min(r.last, envelope.MaxParts-1); after = sent.told {
			page, _, err := u.storedParts(ctx, after, u.all.Page, nil, false)
			if err != nil {
				return nil, err
			}
			stored = append(stored, page.Parts...)
			sent.told = page.NextPartNumberMarker
		}
	}
	if sent.told == 0 { // the store does not know part 10,000
		if err := u.store.IsThere(ctx); err != nil {
			return nil, err
		}
	}
	for _, p := range stored {
		sent.used[p.PartNumber] = true
	}
	records, marked, err := u.records(ctx, append(recordSpans(of), goneSpan))
	if err != nil {
		return nil, err
	}
	sent.marked, sent.parts = marked, matching(stored, records)
	return sent, nil
}

// storedParts asks the store for a page of parts after a number. The page's marker says up to which
// number the page is complete. After a number that no part has, MinIO finds none, so an empty page
// makes storedParts list from the first part on.
func (u *Upload) storedParts(ctx context.Context, after, most int, h http.Header, unsigned bool) (*s3xml.ListParts, http.Header, error) {
	page, header, err := u.askParts(ctx, after, most, h, unsigned)
	if err != nil {
		return nil, nil, err
	}
	for from := 0; after > 0 && after < envelope.MaxParts && len(partsBehind(page, after)) == 0; from = page.NextPartNumberMarker {
		if page, header, err = u.askParts(ctx, from, u.all.Page, h, unsigned); err != nil {
			return nil, nil, err
		}
		if !page.IsTruncated {
			break
		}
	}
	page.Parts = partsBehind(page, after)
	return page, header, nil
}

// partsBehind returns the parts of a page with numbers greater than number.
func partsBehind(l *s3xml.ListParts, number int) []s3xml.ListedPart {
	at, _ := slices.BinarySearchFunc(l.Parts, number+1, func(p s3xml.ListedPart, n int) int { return cmp.Compare(p.PartNumber, n) })
	return l.Parts[at:]
}

// askParts asks for one page.
func (u *Upload) askParts(ctx context.Context, after, most int, h http.Header, unsigned bool) (*s3xml.ListParts, http.Header, error) {
	page := &s3xml.ListParts{}
	q := url.Values{"max-parts": {strconv.Itoa(most)}}
	if after > 0 {
		q.Set("part-number-marker", strconv.Itoa(after))
	}
	header, err := u.Upstream.GetXML(ctx, &upstream.Request{Bucket: u.Bucket, Key: u.Key, UploadID: u.store.ID, Query: q, Header: h, Unsigned: unsigned}, page)
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(page.Parts, func(a, b s3xml.ListedPart) int { return cmp.Compare(a.PartNumber, b.PartNumber) })
	switch n := len(page.Parts); {
	case !page.IsTruncated:
		page.NextPartNumberMarker = max(after, envelope.MaxParts)
	case n == 0 || page.Parts[n-1].PartNumber <= after:
		return nil, nil, fmt.Errorf("%w: a listing of parts without an end", upstream.ErrStored)
	default:
		page.NextPartNumberMarker = page.Parts[n-1].PartNumber
	}
	return page, header, nil
}

// matching returns the records of the parts that the store has, and of part 10,000.
func matching(stored []s3xml.ListedPart, records map[int][]partRecord) map[int][]partRecord {
	parts := map[int][]partRecord{}
	for _, all := range records {
		slices.SortFunc(all, func(a, b partRecord) int { return b.lastModified.Compare(a.lastModified) })
	}
	for _, p := range stored {
		for _, r := range records[p.PartNumber] {
			if isOf(r, p) {
				r.lastModified = p.LastModified
				parts[p.PartNumber] = append(parts[p.PartNumber], r)
			}
		}
	}
	if last := records[envelope.MaxParts]; len(last) > 0 {
		parts[envelope.MaxParts] = last
	}
	return parts
}

// isOf reports whether a record is of the sending that the store has of a part.
func isOf(r partRecord, p s3xml.ListedPart) bool {
	return r.ETag == strings.Trim(p.ETag, `"`) && p.Size == envelope.StoredPartSize(r.Part.Size)
}

// PartsPage is a page of an upload's parts, by number, each in its newest sending.
type PartsPage struct {
	Parts  []ListedPart
	More   bool             // there may be parts after them
	List   *s3xml.ListParts // the store's; its parts are meaningless
	Header http.Header      // of its answer
}

// ListedPart is a part, with the time of its sending.
type ListedPart struct {
	envelope.Part
	LastModified time.Time
}

// ListParts lists at most so many parts after a number. h has the client's headers for the store.
func (u *Upload) ListParts(ctx context.Context, after, most int, h http.Header) (_ *PartsPage, err error) {
	defer func() { u.all.forgetEnded(u.name(), err) }()
	page := &PartsPage{}
	for {
		page.List, page.Header, err = u.storedParts(ctx, after, min(max(most-len(page.Parts), 1), u.all.Page), h, u.Unsigned)
		if err != nil {
			return nil, during(stepListParts, err)
		}
		parts, err := u.recorded(ctx, page.List, after)
		if err != nil {
			return nil, during(stepListParts, err)
		}
		page.More = page.List.IsTruncated
		for _, number := range slices.Sorted(maps.Keys(parts)) {
			if len(page.Parts) == most {
				page.More = true
				return page, nil
			}
			newest := parts[number][0]
			page.Parts = append(page.Parts, ListedPart{newest.Part, newest.lastModified})
		}
		if !page.More || len(page.Parts) == most {
			return page, nil
		}
		after = page.List.NextPartNumberMarker
	}
}

// recorded returns the parts on the store's page after a number that have records. On the last page
// it adds part 10,000.
func (u *Upload) recorded(ctx context.Context, list *s3xml.ListParts, after int) (map[int][]partRecord, error) {
	records, seen := u.all.records.of(u.name(), list.Parts)
	var of []partRange
	if n := len(list.Parts); n > 0 && !seen {
		of = append(of, partRange{list.Parts[0].PartNumber, list.Parts[n-1].PartNumber})
	}
	last := !list.IsTruncated && after < envelope.MaxParts
	if last {
		of = append(of, partRange{envelope.MaxParts, envelope.MaxParts})
	}
	if len(of) > 0 {
		read, _, err := u.records(ctx, recordSpans(of))
		if err != nil {
			return nil, err
		}
		if seen {
			records[envelope.MaxParts] = read[envelope.MaxParts]
		} else {
			records = read
			u.all.records.add(u.name(), read)
		}
	}
	parts := matching(list.Parts, records)
	if !last {
		delete(parts, envelope.MaxParts)
	}
	return parts, nil
}

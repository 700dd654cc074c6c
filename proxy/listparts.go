package proxy

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

type listPartsResult struct {
	XMLName              xml.Name            `xml:"ListPartsResult"`
	Xmlns                string              `xml:"xmlns,attr"`
	Bucket               string              `xml:"Bucket"`
	Key                  xmlText             `xml:"Key"`
	UploadID             string              `xml:"UploadId"`
	PartNumberMarker     int                 `xml:"PartNumberMarker"`
	NextPartNumberMarker int                 `xml:"NextPartNumberMarker"`
	MaxParts             int                 `xml:"MaxParts"`
	IsTruncated          bool                `xml:"IsTruncated"`
	Parts                bounded[listedPart] `xml:"Part"`
	Initiator            *listedOwner        `xml:"Initiator"`
	Owner                *listedOwner        `xml:"Owner"`
	StorageClass         string              `xml:"StorageClass,omitempty"`
	ChecksumAlgorithm    string              `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType         string              `xml:"ChecksumType,omitempty"`
}

type listedPart struct {
	PartNumber   int       `xml:"PartNumber"`
	LastModified time.Time `xml:"LastModified"`
	ETag         string    `xml:"ETag"`
	Size         int64     `xml:"Size"`
	xmlChecksums
}

// listParts shows the parts that clients know of: plaintext sizes, the ETags that
// they were given.
func listParts(x *exchange) error {
	ctx := x.r.Context()
	marker, most, err := x.partPaging()
	if err != nil {
		return err
	}
	u, err := x.openUpload(ctx)
	if err != nil {
		return err
	}
	defer u.close()
	sent, err := u.sentParts(ctx, x.passedHeaders(), x.unsigned())
	if err != nil {
		x.forgetEnded(u, err)
		return during(stepListParts, err)
	}
	out := listPartsResult{
		Xmlns: s3Namespace, Bucket: x.bucket.String(), Key: xmlText(x.key.String()), UploadID: u.id.String(), PartNumberMarker: marker, MaxParts: most,
		Initiator: sent.upload.Initiator, Owner: sent.upload.Owner, StorageClass: sent.upload.StorageClass,
		ChecksumAlgorithm: algorithmName(u.options.Checksum), ChecksumType: typeName(u.options.Type),
	}
	if u.options.Checksum == envelope.NoChecksum {
		out.ChecksumAlgorithm, out.ChecksumType = "null", "null" // S3's words
	}
	for _, number := range slices.Sorted(maps.Keys(sent.parts)) {
		if number <= marker {
			continue
		}
		if len(out.Parts) == most {
			out.IsTruncated = true
			break
		}
		p := sent.parts[number][0]
		part := listedPart{PartNumber: number, LastModified: p.lastModified, ETag: u.partETag(p.Part), Size: p.Part.Size}
		if u.options.Checksum != envelope.NoChecksum {
			part.set(p.Part.Checksum, 0)
		}
		out.Parts = append(out.Parts, part)
		out.NextPartNumberMarker = number
	}
	x.passHeaders(sent.header)
	return x.answerXML(out)
}

func algorithmName(a envelope.Algorithm) string {
	if a == envelope.NoChecksum {
		return ""
	}
	return a.String()
}

// partPaging reads part-number-marker and max-parts; what S3 refuses is left for
// the store to refuse in its own words.
func (x *exchange) partPaging() (marker, most int, err error) {
	most = maxEntries
	for name, value := range map[string]*int{"part-number-marker": &marker, "max-parts": &most} {
		text, given := x.query[name]
		if !given || text[0] == "" {
			continue
		}
		n, err := strconv.ParseInt(text[0], 10, 32)
		if err != nil || n < 0 {
			return 0, 0, x.refusedByStore(x.passedQuery(), s3err.InvalidArgument.WithMessage("Provided %s not an integer or within integer range", name).Argument(name, text[0]))
		}
		*value = int(n)
	}
	return marker, min(most, maxEntries), nil
}

// refusedByStore asks the store for its words on a request that it will refuse; ours
// are for one that does not.
func (x *exchange) refusedByStore(q url.Values, ours *s3err.Error) error {
	req := x.request()
	req.Query = q
	resp, err := x.Upstream.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	return ours
}

// sentParts are the sendings of parts that both the store and a record of ours know, by
// number, the newest first: more than one where a store gives them the same ETag. Number
// 10,000 is known by its records alone. The store alone is never believed.
type sentParts struct {
	upload listPartsResult // of the store, without parts
	header http.Header
	parts  map[int][]partRecord
	used   map[int]bool // numbers that the store's upload has
	marked bool         // as gone, by a sweep
}

func (u *upload) sentParts(ctx context.Context, h http.Header, unsigned bool) (*sentParts, error) {
	sent := &sentParts{parts: map[int][]partRecord{}, used: map[int]bool{}}
	stored := map[int]listedPart{}
	q := url.Values{"max-parts": {strconv.Itoa(maxEntries)}}
	for marker := 0; ; {
		page := listPartsResult{}
		header, err := u.getXML(ctx, &upstream.Request{Bucket: u.bucket, Key: u.key, UploadID: u.id, Query: q, Header: h, Unsigned: unsigned}, &page)
		if err != nil {
			return nil, err
		}
		sent.header = header
		for _, p := range page.Parts {
			stored[p.PartNumber], sent.used[p.PartNumber] = p, true
		}
		if !page.IsTruncated {
			page.Parts = nil
			sent.upload = page
			break
		}
		next := page.NextPartNumberMarker
		if len(page.Parts) > 0 {
			next = max(next, page.Parts[len(page.Parts)-1].PartNumber)
		}
		if next <= marker {
			return nil, fmt.Errorf("%w: a listing of parts without an end", errStored)
		}
		marker = next
		q.Set("part-number-marker", strconv.Itoa(marker))
	}
	records, marked, err := u.records(ctx)
	if err != nil {
		return nil, err
	}
	sent.marked = marked
	for number, all := range records {
		slices.SortFunc(all, func(a, b partRecord) int { return b.lastModified.Compare(a.lastModified) })
		if number == envelope.MaxParts {
			sent.parts[number] = all
			continue
		}
		p, ok := stored[number]
		for _, r := range all {
			if ok && r.ETag == strings.Trim(p.ETag, `"`) && p.Size == envelope.StoredPartSize(r.Part.Size) {
				r.lastModified = p.LastModified
				sent.parts[number] = append(sent.parts[number], r)
			}
		}
	}
	return sent, nil
}

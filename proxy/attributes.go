package proxy

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

type attributesResult struct {
	XMLName      xml.Name             `xml:"GetObjectAttributesResponse"`
	Xmlns        string               `xml:"xmlns,attr"`
	ETag         string               `xml:"ETag,omitempty"`
	Checksum     *attributesChecksum  `xml:"Checksum"`
	ObjectParts  *attributesPartsList `xml:"ObjectParts"`
	StorageClass string               `xml:"StorageClass,omitempty"`
	ObjectSize   *int64               `xml:"ObjectSize"`
}

type attributesChecksum struct {
	s3xml.Checksums
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

type attributesPartsList struct {
	PartsCount           int              `xml:"PartsCount"`
	PartNumberMarker     int              `xml:"PartNumberMarker"`
	NextPartNumberMarker int              `xml:"NextPartNumberMarker"`
	MaxParts             int              `xml:"MaxParts"`
	IsTruncated          bool             `xml:"IsTruncated"`
	Parts                []attributesPart `xml:"Part"`
}

type attributesPart struct {
	PartNumber int   `xml:"PartNumber"`
	Size       int64 `xml:"Size"`
	s3xml.Checksums
}

// getObjectAttributes answers from metadata and trailer. The store is asked the
// same first: whether the client may, and whether the request is one, is for it to
// say, and HEAD has no words for that. What it answers is of the ciphertext.
func getObjectAttributes(x *exchange) error {
	ctx := x.r.Context()
	names := attributeNames(x.r.Header.Values("X-Amz-Object-Attributes"))
	if err := x.refusedAttributes(ctx, names); err != nil {
		return err
	}
	wanted := func(name string) bool { return slices.Contains(names, name) }
	rd := &reading{exchange: x, checksums: true}
	s, err := rd.stat()
	if err != nil {
		return err
	}
	var dek *envelope.DEK
	var known envelope.Facts
	if s.Meta != nil {
		if dek, known, err = x.Unlock(ctx, s); err != nil {
			return err
		}
		defer dek.Destroy()
	}
	out := attributesResult{Xmlns: s3xml.Namespace}
	if wanted("ObjectSize") {
		out.ObjectSize = &s.Size
	}
	if wanted("StorageClass") {
		out.StorageClass = cmp.Or(s.Header.Get("X-Amz-Storage-Class"), "STANDARD") // what HEAD leaves out
	}
	if s.Meta != nil && (wanted("Checksum") || wanted("ObjectParts")) {
		_, facts, parts, err := rd.describe(s, dek, known)
		if err != nil {
			return err
		}
		if wanted("Checksum") {
			out.Checksum = attributesChecksumOf(facts)
		}
		if wanted("ObjectParts") && parts > 0 {
			out.ObjectParts = x.attributesParts(rd.table)
		}
	}
	if wanted("ETag") {
		tag, err := x.ObjectETag(ctx, s)
		if err != nil {
			return err
		}
		out.ETag = object.BareETag(tag.Shown)
	}
	x.passHeaders(http.Header{"Last-Modified": s.Header.Values("Last-Modified"), "X-Amz-Version-Id": s.Header.Values("X-Amz-Version-Id"), "X-Amz-Request-Id": s.Header.Values("X-Amz-Request-Id")})
	return x.answerXML(out)
}

// attributesChecksumOf is nil where the object has none.
func attributesChecksumOf(f envelope.Facts) *attributesChecksum {
	if f.Checksum.Algorithm == envelope.NoChecksum {
		return nil
	}
	c := &attributesChecksum{ChecksumType: checksum.TypeName(f.Checksum.Type)}
	checksum.SetElement(&c.Checksums, envelope.Checksum{Algorithm: f.Checksum.Algorithm, Value: f.Checksum.Value}, 0)
	return c
}

// refusedAttributes asks the store the same, for its refusal.
func (x *exchange) refusedAttributes(ctx context.Context, names []string) error {
	req := x.request()
	if names != nil {
		req.Header["X-Amz-Object-Attributes"] = []string{strings.Join(names, ",")}
	}
	resp, err := x.Upstream.Do(ctx, req)
	if errors.Is(err, s3err.NotImplemented) {
		return nil
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// attributeNames are those that a request lists, without the blanks that S3 allows around
// them and other stores refuse.
func attributeNames(lists []string) (names []string) {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// attributesParts is the page of parts that the request asks for.
func (x *clientRequest) attributesParts(parts []envelope.Part) *attributesPartsList {
	list := &attributesPartsList{PartsCount: len(parts), MaxParts: s3xml.MaxEntries}
	// The store has refused what is no number.
	if n, err := strconv.Atoi(x.r.Header.Get("X-Amz-Max-Parts")); err == nil && n >= 0 {
		list.MaxParts = min(n, s3xml.MaxEntries)
	}
	if n, err := strconv.Atoi(x.r.Header.Get("X-Amz-Part-Number-Marker")); err == nil {
		list.PartNumberMarker = n
	}
	for _, p := range parts {
		if p.Number <= list.PartNumberMarker {
			continue
		}
		if len(list.Parts) == list.MaxParts {
			list.IsTruncated = true
			break
		}
		shown := attributesPart{PartNumber: p.Number, Size: p.Size}
		checksum.SetElement(&shown.Checksums, p.Checksum, 0)
		list.Parts = append(list.Parts, shown)
		list.NextPartNumberMarker = p.Number
	}
	return list
}

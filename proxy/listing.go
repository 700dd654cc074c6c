package proxy

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// s3Namespace is that of all of S3's documents. Not every store writes it, so
// that none is asked for when one is read.
const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// The documents of ListObjects and ListObjectsV2, as
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html has
// them. Pointers tell an absent element from an empty one.
type listResult struct {
	XMLName               xml.Name              `xml:"ListBucketResult"`
	Xmlns                 string                `xml:"xmlns,attr"`
	Name                  string                `xml:"Name"`
	Prefix                *xmlText              `xml:"Prefix"`
	Marker                *xmlText              `xml:"Marker"`
	NextMarker            *xmlText              `xml:"NextMarker"`
	StartAfter            *xmlText              `xml:"StartAfter"`
	ContinuationToken     *xmlText              `xml:"ContinuationToken"`
	NextContinuationToken *xmlText              `xml:"NextContinuationToken"`
	KeyCount              *int                  `xml:"KeyCount"`
	MaxKeys               int                   `xml:"MaxKeys"`
	Delimiter             *xmlText              `xml:"Delimiter"`
	EncodingType          string                `xml:"EncodingType,omitempty"`
	IsTruncated           bool                  `xml:"IsTruncated"`
	Contents              bounded[listedObject] `xml:"Contents"`
	CommonPrefixes        bounded[commonPrefix] `xml:"CommonPrefixes"`
}

type listedObject struct {
	Key          xmlText `xml:"Key"`
	LastModified string  `xml:"LastModified"`
	ETag         string  `xml:"ETag"`
	Size         int64   `xml:"Size"`
	// Of a multipart object the store's would be that of its own upload.
	ChecksumAlgorithm []string       `xml:"ChecksumAlgorithm"`
	ChecksumType      string         `xml:"ChecksumType,omitempty"`
	StorageClass      string         `xml:"StorageClass,omitempty"`
	Owner             *listedOwner   `xml:"Owner"`
	RestoreStatus     *restoreStatus `xml:"RestoreStatus"`
}

// hideUpload takes away the store's checksum of an object that came in parts.
func hideUpload(etag string, algorithm *[]string, kind *string) {
	if strings.Contains(etag, "-") {
		*algorithm, *kind = nil, ""
	}
}

type listedOwner struct {
	ID          string `xml:"ID"`
	DisplayName string `xml:"DisplayName,omitempty"`
}

type restoreStatus struct {
	IsRestoreInProgress string `xml:"IsRestoreInProgress"`
	RestoreExpiryDate   string `xml:"RestoreExpiryDate,omitempty"`
}

type commonPrefix struct {
	Prefix xmlText `xml:"Prefix"`
}

// xmlText is text that may hold any character. Keys may hold ones that XML 1.0
// has no place for; S3 writes them as references all the same, which
// encoding/xml would replace with U+FFFD.
type xmlText string

// MarshalXML implements xml.Marshaler.
func (t xmlText) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(struct {
		Inner string `xml:",innerxml"`
	}{escapeText(string(t))}, start)
}

func escapeText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < 0x20 || r == 0x7f:
			b.WriteString("&#x" + strings.ToUpper(hexDigits(r)) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hexDigits(r rune) string {
	const digits = "0123456789abcdef"
	if r < 16 {
		return string(digits[r])
	}
	return string(digits[r>>4]) + string(digits[r&15])
}

// keyed is a document with keys in it, which a store may write in URL encoding.
type keyed interface {
	// texts are those that encoding-type=url applies to; some may be nil.
	texts() []*xmlText
	encodingType() *string
}

func (l *listResult) texts() []*xmlText {
	all := []*xmlText{l.Prefix, l.Marker, l.NextMarker, l.StartAfter, l.Delimiter}
	for i := range l.Contents {
		all = append(all, &l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		all = append(all, &l.CommonPrefixes[i].Prefix)
	}
	return all
}

func (l *listResult) encodingType() *string { return &l.EncodingType }

// decodeTexts undoes encoding-type=url.
func decodeTexts(doc keyed) error {
	for _, t := range doc.texts() {
		if t == nil {
			continue
		}
		plain, err := url.QueryUnescape(string(*t))
		if err != nil {
			return fmt.Errorf("the store's listing: %w", err)
		}
		*t = xmlText(plain)
	}
	*doc.encodingType() = ""
	return nil
}

// encodeTexts applies encoding-type=url as S3 does: '/' stays as it is.
func encodeTexts(doc keyed) {
	for _, t := range doc.texts() {
		if t != nil {
			*t = xmlText(strings.ReplaceAll(url.QueryEscape(string(*t)), "%2F", "/"))
		}
	}
	*doc.encodingType() = "url"
}

// getList asks the store for a document with keys. One with a key that XML 1.0 has no place
// for cannot be parsed; then it is asked for again with encoding-type=url.
func getList[T any, P interface {
	*T
	keyed
}](ctx context.Context, o *objects, req upstream.Request) (P, http.Header, error) {
	page := P(new(T))
	header, err := o.getXML(ctx, &req, page)
	if !errors.As(err, new(*xml.SyntaxError)) {
		return page, header, err
	}
	req.Query = maps.Clone(req.Query)
	req.Query.Set("encoding-type", "url")
	page = new(T)
	if header, err = o.getXML(ctx, &req, page); err == nil && *page.encodingType() == "url" {
		err = decodeTexts(page)
	}
	return page, header, err
}

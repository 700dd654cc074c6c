package proxy

import (
	"encoding/xml"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

type completeRequest struct {
	XMLName xml.Name      `xml:"CompleteMultipartUpload"`
	Xmlns   string        `xml:"xmlns,attr,omitempty"`
	Parts   completedList `xml:"Part"`
}

type completedPart struct {
	PartNumber *partNumber `xml:"PartNumber"`
	ETag       *string     `xml:"ETag"`
	s3xml.Checksums
}

// completedList is at most as long as S3 allows; see s3xml.Bounded.
type completedList []completedPart

// UnmarshalXML implements xml.Unmarshaler, once for each part.
func (l *completedList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return s3xml.AppendEntry((*[]completedPart)(l), envelope.MaxParts, d, start)
}

type completeResult struct {
	XMLName  xml.Name   `xml:"CompleteMultipartUploadResult"`
	Xmlns    string     `xml:"xmlns,attr"`
	Location string     `xml:"Location"`
	Bucket   string     `xml:"Bucket"`
	Key      s3xml.Text `xml:"Key"`
	ETag     string     `xml:"ETag"`
	s3xml.Checksums
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

func (l *completeRequest) add(number int, etag string) {
	n, quoted := partNumber(number), `"`+etag+`"`
	l.Parts = append(l.Parts, completedPart{PartNumber: &n, ETag: &quoted})
}

// completed is a finished object of an upload.
type completed struct {
	header  http.Header // of the store's answers: version, expiration
	etag    string      // the store's
	trailer *envelope.Trailer
}

package s3xml

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

type CompleteUpload struct {
	XMLName xml.Name       `xml:"CompleteMultipartUpload"`
	Xmlns   string         `xml:"xmlns,attr,omitempty"`
	Parts   CompletedParts `xml:"Part"`
}

type CompletedPart struct {
	PartNumber *PartNumber `xml:"PartNumber"`
	ETag       *string     `xml:"ETag"`
	Checksums
}

// maxParts is the highest number of parts in an upload.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const maxParts = 10_000

// CompletedParts is limited to the number of parts that S3 allows; see [Bounded].
type CompletedParts []CompletedPart

// UnmarshalXML implements xml.Unmarshaler, once for each part.
func (l *CompletedParts) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return AppendEntry((*[]CompletedPart)(l), maxParts, d, start)
}

type CompleteUploadResult struct {
	XMLName  xml.Name `xml:"CompleteMultipartUploadResult"`
	Xmlns    string   `xml:"xmlns,attr"`
	Location string   `xml:"Location"`
	Bucket   string   `xml:"Bucket"`
	Key      Text     `xml:"Key"`
	ETag     string   `xml:"ETag"`
	Checksums
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

func (l *CompleteUpload) Add(number int, etag string) {
	n, quoted := PartNumber(number), `"`+etag+`"`
	l.Parts = append(l.Parts, CompletedPart{PartNumber: &n, ETag: &quoted})
}

type CreateUploadResult struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	Xmlns    string   `xml:"xmlns,attr"`
	Bucket   string   `xml:"Bucket"`
	Key      Text     `xml:"Key"`
	UploadID string   `xml:"UploadId"`
}

// PartNumber is the number of a part in a document.
type PartNumber int

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *PartNumber) UnmarshalText(text []byte) (err error) {
	*n, err = ParsePartNumber(strings.TrimSpace(string(text)))
	return err
}

// ParsePartNumber refuses a leading sign, which strconv accepts.
func ParsePartNumber(text string) (PartNumber, error) {
	n, err := strconv.Atoi(text)
	if err == nil && text[0] == '+' {
		err = fmt.Errorf("%q is no part number", text)
	}
	return PartNumber(n), err
}

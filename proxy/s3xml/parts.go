package s3xml

import (
	"encoding/xml"
	"time"
)

type ListParts struct {
	XMLName              xml.Name            `xml:"ListPartsResult"`
	Xmlns                string              `xml:"xmlns,attr"`
	Bucket               string              `xml:"Bucket"`
	Key                  Text                `xml:"Key"`
	UploadID             string              `xml:"UploadId"`
	PartNumberMarker     int                 `xml:"PartNumberMarker"`
	NextPartNumberMarker int                 `xml:"NextPartNumberMarker"`
	MaxParts             int                 `xml:"MaxParts"`
	IsTruncated          bool                `xml:"IsTruncated"`
	Parts                Bounded[ListedPart] `xml:"Part"`
	Initiator            *Owner              `xml:"Initiator"`
	Owner                *Owner              `xml:"Owner"`
	StorageClass         string              `xml:"StorageClass,omitempty"`
	ChecksumAlgorithm    string              `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType         string              `xml:"ChecksumType,omitempty"`
}

type ListedPart struct {
	PartNumber   int       `xml:"PartNumber"`
	LastModified time.Time `xml:"LastModified"`
	ETag         string    `xml:"ETag"`
	Size         int64     `xml:"Size"`
	Checksums
}

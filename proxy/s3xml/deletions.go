package s3xml

import (
	"encoding/xml"
)

type DeleteObjects struct {
	XMLName xml.Name                `xml:"Delete"`
	Xmlns   string                  `xml:"xmlns,attr,omitempty"`
	Quiet   bool                    `xml:"Quiet,omitempty"`
	Objects Bounded[ObjectToDelete] `xml:"Object"`
}

type ObjectToDelete struct {
	Key              Text   `xml:"Key"`
	VersionID        string `xml:"VersionId,omitempty"`
	ETag             string `xml:"ETag,omitempty"`
	LastModifiedTime string `xml:"LastModifiedTime,omitempty"`
	Size             *int64 `xml:"Size"`
}

type DeleteResult struct {
	XMLName xml.Name              `xml:"DeleteResult"`
	Xmlns   string                `xml:"xmlns,attr"`
	Deleted Bounded[deletedEntry] `xml:"Deleted"`
	Errors  Bounded[DeleteError]  `xml:"Error"`
}

type deletedEntry struct {
	Key                   Text   `xml:"Key"`
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          *bool  `xml:"DeleteMarker"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

type DeleteError struct {
	Key       Text   `xml:"Key"`
	VersionID string `xml:"VersionId,omitempty"`
	Code      string `xml:"Code"`
	Message   string `xml:"Message"`
}

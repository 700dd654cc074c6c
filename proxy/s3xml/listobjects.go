package s3xml

import (
	"encoding/xml"
)

// ListObjects is the document of ListObjects and ListObjectsV2, see
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html. Pointers distinguish
// an absent element from an empty one.
type ListObjects struct {
	XMLName               xml.Name              `xml:"ListBucketResult"`
	Xmlns                 string                `xml:"xmlns,attr"`
	Name                  string                `xml:"Name"`
	Prefix                *Text                 `xml:"Prefix"`
	Marker                *Text                 `xml:"Marker"`
	NextMarker            *Text                 `xml:"NextMarker"`
	StartAfter            *Text                 `xml:"StartAfter"`
	ContinuationToken     *Text                 `xml:"ContinuationToken"`
	NextContinuationToken *Text                 `xml:"NextContinuationToken"`
	KeyCount              *int                  `xml:"KeyCount"`
	MaxKeys               int                   `xml:"MaxKeys"`
	Delimiter             *Text                 `xml:"Delimiter"`
	EncodingType          string                `xml:"EncodingType,omitempty"`
	IsTruncated           bool                  `xml:"IsTruncated"`
	Contents              Bounded[ListedObject] `xml:"Contents"`
	CommonPrefixes        Bounded[CommonPrefix] `xml:"CommonPrefixes"`
}

type ListedObject struct {
	Key          Text   `xml:"Key"`
	LastModified string `xml:"LastModified"`
	ETag         string `xml:"ETag"`
	Size         int64  `xml:"Size"`
	ListedChecksum
	StorageClass  string         `xml:"StorageClass,omitempty"`
	Owner         *Owner         `xml:"Owner"`
	RestoreStatus *RestoreStatus `xml:"RestoreStatus"`
}

// ListedChecksum describes the store's own checksum, which covers ciphertext if the proxy wrote the
// object.
type ListedChecksum struct {
	ChecksumAlgorithm []string `xml:"ChecksumAlgorithm"`
	ChecksumType      string   `xml:"ChecksumType,omitempty"`
}

type Owner struct {
	ID          string `xml:"ID"`
	DisplayName string `xml:"DisplayName,omitempty"`
}

type RestoreStatus struct {
	IsRestoreInProgress string `xml:"IsRestoreInProgress"`
	RestoreExpiryDate   string `xml:"RestoreExpiryDate,omitempty"`
}

type CommonPrefix struct {
	Prefix Text `xml:"Prefix"`
}

func (l *ListObjects) Texts() []*Text {
	all := []*Text{l.Prefix, l.Marker, l.NextMarker, l.StartAfter, l.Delimiter}
	for i := range l.Contents {
		all = append(all, &l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		all = append(all, &l.CommonPrefixes[i].Prefix)
	}
	return all
}

func (l *ListObjects) Encoding() *string { return &l.EncodingType }

func (l *ListObjects) Entries() int { return len(l.Contents) + len(l.CommonPrefixes) }

// Last is the entry that sorts last on the page.
func (l *ListObjects) Last() string {
	last := ""
	for _, o := range l.Contents {
		last = max(last, string(o.Key))
	}
	for _, p := range l.CommonPrefixes {
		last = max(last, string(p.Prefix))
	}
	return last
}

// LastV1 is the marker for the page after a V1 page. Without a delimiter, stores may omit
// NextMarker; then it is the last key.
func (l *ListObjects) LastV1() string {
	if l.NextMarker != nil && *l.NextMarker != "" {
		return string(*l.NextMarker)
	}
	return l.Last()
}

// Append adds the entries of the next page and takes over its cursor.
func (l *ListObjects) Append(next *ListObjects) {
	l.Contents = append(l.Contents, next.Contents...)
	l.CommonPrefixes = appendPrefixes(l.CommonPrefixes, next.CommonPrefixes)
	l.IsTruncated, l.NextMarker, l.NextContinuationToken = next.IsTruncated, next.NextMarker, next.NextContinuationToken
}

// appendPrefixes adds the prefixes of the next page. On MinIO, that page begins with the prefix
// with which the previous page ended.
func appendPrefixes(all, next Bounded[CommonPrefix]) Bounded[CommonPrefix] {
	if n := len(all); n > 0 && len(next) > 0 && all[n-1] == next[0] {
		next = next[1:]
	}
	return append(all, next...)
}

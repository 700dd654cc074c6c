package proxy

import (
	"encoding/xml"
	"slices"
	"strings"
)

// listVersionsResult is the document of ListObjectVersions.
type listVersionsResult struct {
	XMLName             xml.Name              `xml:"ListVersionsResult"`
	Xmlns               string                `xml:"xmlns,attr"`
	Name                string                `xml:"Name"`
	Prefix              *xmlText              `xml:"Prefix"`
	KeyMarker           *xmlText              `xml:"KeyMarker"`
	VersionIDMarker     *string               `xml:"VersionIdMarker"`
	NextKeyMarker       *xmlText              `xml:"NextKeyMarker"`
	NextVersionIDMarker *string               `xml:"NextVersionIdMarker"`
	MaxKeys             int                   `xml:"MaxKeys"`
	Delimiter           *xmlText              `xml:"Delimiter"`
	EncodingType        string                `xml:"EncodingType,omitempty"`
	IsTruncated         bool                  `xml:"IsTruncated"`
	Versions            versionList           `xml:",any"`
	CommonPrefixes      bounded[commonPrefix] `xml:"CommonPrefixes"`
}

// versionList has the versions and the delete markers of a document in its order. S3
// interleaves them, each key's newest first, and clients read the age from that.
type versionList []listedVersion

// UnmarshalXML implements xml.Unmarshaler, once for each element that no other field of
// the document takes.
func (l *versionList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if start.Name.Local != "Version" && start.Name.Local != "DeleteMarker" {
		return d.Skip()
	}
	start.Name.Space = ""
	if err := appendEntry((*[]listedVersion)(l), maxEntries, d, start); err != nil {
		return err
	}
	switch last := &(*l)[len(*l)-1]; {
	case last.deletes():
		*last = listedVersion{XMLName: last.XMLName, Key: last.Key, VersionID: last.VersionID, IsLatest: last.IsLatest, LastModified: last.LastModified, Owner: last.Owner}
	default:
		last.ETag, last.Size = orNew(last.ETag), orNew(last.Size)
	}
	return nil
}

func orNew[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

// listedVersion is one of them; XMLName tells which. A delete marker has no content.
type listedVersion struct {
	XMLName           xml.Name
	Key               xmlText        `xml:"Key"`
	VersionID         string         `xml:"VersionId"`
	IsLatest          bool           `xml:"IsLatest"`
	LastModified      string         `xml:"LastModified"`
	ETag              *string        `xml:"ETag"`
	ChecksumAlgorithm []string       `xml:"ChecksumAlgorithm"`
	ChecksumType      string         `xml:"ChecksumType,omitempty"`
	Size              *int64         `xml:"Size"`
	StorageClass      string         `xml:"StorageClass,omitempty"`
	RestoreStatus     *restoreStatus `xml:"RestoreStatus"`
	Owner             *listedOwner   `xml:"Owner"`
}

// deletes tells whether it is a delete marker.
func (v *listedVersion) deletes() bool { return v.XMLName.Local == "DeleteMarker" }

// versionMarker is the place behind which a page begins, or the next one.
type versionMarker struct {
	key     xmlText
	version string
}

// next is the place behind a page that is truncated.
func (l *listVersionsResult) next() (m versionMarker) {
	if l.NextKeyMarker != nil {
		m.key = *l.NextKeyMarker
	}
	if l.NextVersionIDMarker != nil {
		m.version = *l.NextVersionIDMarker
	}
	return m
}

func (l *listVersionsResult) texts() []*xmlText {
	all := []*xmlText{l.Prefix, l.KeyMarker, l.NextKeyMarker, l.Delimiter}
	for i := range l.Versions {
		all = append(all, &l.Versions[i].Key)
	}
	for i := range l.CommonPrefixes {
		all = append(all, &l.CommonPrefixes[i].Prefix)
	}
	return all
}

func (l *listVersionsResult) encodingType() *string { return &l.EncodingType }

// clear makes it the page of no entries, which ends nowhere; MinIO takes 0 for no number.
func (l *listVersionsResult) clear() {
	l.Versions, l.CommonPrefixes, l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = nil, nil, false, nil, nil
}

func (l *listVersionsResult) entries() int { return len(l.Versions) + len(l.CommonPrefixes) }

// drop takes our own objects out of a page, and the version of the marker that it was
// asked with: versitygw 1.8 lists it again when it is its key's newest. inState says that
// the page ended among our own objects.
func (l *listVersionsResult) drop(at StatePlace, asked versionMarker) (inState bool) {
	last := ""
	for _, v := range l.Versions {
		last = max(last, string(v.Key))
	}
	for _, p := range l.CommonPrefixes {
		last = max(last, string(p.Prefix))
	}
	l.Versions = slices.DeleteFunc(l.Versions, func(v listedVersion) bool {
		return at.owns(string(v.Key)) || v.Key == asked.key && v.VersionID == asked.version
	})
	return strings.HasPrefix(last, at.root())
}

// append adds the entries of a further page and takes over its end.
func (l *listVersionsResult) append(next *listVersionsResult) {
	l.Versions = append(l.Versions, next.Versions...)
	l.CommonPrefixes = append(l.CommonPrefixes, next.CommonPrefixes...)
	l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = next.IsTruncated, next.NextKeyMarker, next.NextVersionIDMarker
}

package s3xml

import (
	"encoding/xml"
	"slices"
)

// ListVersions is the document of ListObjectVersions.
type ListVersions struct {
	XMLName             xml.Name              `xml:"ListVersionsResult"`
	Xmlns               string                `xml:"xmlns,attr"`
	Name                string                `xml:"Name"`
	Prefix              *Text                 `xml:"Prefix"`
	KeyMarker           *Text                 `xml:"KeyMarker"`
	VersionIDMarker     *string               `xml:"VersionIdMarker"`
	NextKeyMarker       *Text                 `xml:"NextKeyMarker"`
	NextVersionIDMarker *string               `xml:"NextVersionIdMarker"`
	MaxKeys             int                   `xml:"MaxKeys"`
	Delimiter           *Text                 `xml:"Delimiter"`
	EncodingType        string                `xml:"EncodingType,omitempty"`
	IsTruncated         bool                  `xml:"IsTruncated"`
	Versions            versionList           `xml:",any"`
	CommonPrefixes      Bounded[CommonPrefix] `xml:"CommonPrefixes"`
}

// versionList holds the versions and delete markers of a document in the document's order. S3
// interleaves them, newest first within each key, and clients rely on that order for their age.
type versionList []ListedVersion

// UnmarshalXML implements xml.Unmarshaler, once for each element that matches no other field of
// the document.
func (l *versionList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if start.Name.Local != "Version" && start.Name.Local != "DeleteMarker" {
		return d.Skip()
	}
	start.Name.Space = ""
	if err := AppendEntry((*[]ListedVersion)(l), MaxEntries, d, start); err != nil {
		return err
	}
	(*l)[len(*l)-1].complete()
	return nil
}

// complete drops what a delete marker does not have, and gives a version what it must have.
func (v *ListedVersion) complete() {
	if v.Deletes() {
		*v = ListedVersion{XMLName: v.XMLName, Key: v.Key, VersionID: v.VersionID, IsLatest: v.IsLatest, LastModified: v.LastModified, Owner: v.Owner}
		return
	}
	v.ETag, v.Size = orNew(v.ETag), orNew(v.Size)
}

func orNew[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

// ListedVersion is a version or a delete marker, depending on XMLName. A delete marker has no
// content.
type ListedVersion struct {
	XMLName      xml.Name
	Key          Text    `xml:"Key"`
	VersionID    string  `xml:"VersionId"`
	IsLatest     bool    `xml:"IsLatest"`
	LastModified string  `xml:"LastModified"`
	ETag         *string `xml:"ETag"`
	ListedChecksum
	Size          *int64         `xml:"Size"`
	StorageClass  string         `xml:"StorageClass,omitempty"`
	RestoreStatus *RestoreStatus `xml:"RestoreStatus"`
	Owner         *Owner         `xml:"Owner"`
}

// Deletes reports whether it is a delete marker.
func (v *ListedVersion) Deletes() bool { return v.XMLName.Local == "DeleteMarker" }

// VersionMarker is the place after which a page begins.
type VersionMarker struct {
	Key     Text
	Version string
}

// Next is the place after a truncated page. If the page ends with a folder, versitygw 1.8 names the
// folder without its slash, and would list it a second time.
func (l *ListVersions) Next() (m VersionMarker) {
	if l.NextKeyMarker != nil {
		m.Key = *l.NextKeyMarker
	}
	if l.NextVersionIDMarker != nil {
		m.Version = *l.NextVersionIDMarker
	}
	if m.Key != "" && m.Version == "" && l.Last() == string(m.Key)+"/" {
		for _, v := range l.Versions {
			if v.Key == m.Key+"/" {
				return VersionMarker{v.Key, v.VersionID}
			}
		}
	}
	return m
}

// NameEnd sets the document's end-of-page markers to the result of Next.
func (l *ListVersions) NameEnd() {
	if next := l.Next(); l.NextKeyMarker != nil && *l.NextKeyMarker != next.Key {
		l.NextKeyMarker, l.NextVersionIDMarker = &next.Key, &next.Version
	}
}

func (l *ListVersions) Texts() []*Text {
	all := []*Text{l.Prefix, l.KeyMarker, l.NextKeyMarker, l.Delimiter}
	for i := range l.Versions {
		all = append(all, &l.Versions[i].Key)
	}
	for i := range l.CommonPrefixes {
		all = append(all, &l.CommonPrefixes[i].Prefix)
	}
	return all
}

func (l *ListVersions) Encoding() *string { return &l.EncodingType }

// Clear makes the page empty and final, which is the answer to max-keys=0. MinIO ignores a 0.
func (l *ListVersions) Clear() {
	l.Versions, l.CommonPrefixes, l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = nil, nil, false, nil, nil
}

func (l *ListVersions) Entries() int { return len(l.Versions) + len(l.CommonPrefixes) }

// Last is the entry that sorts last on the page.
func (l *ListVersions) Last() string {
	last := ""
	for _, v := range l.Versions {
		last = max(last, string(v.Key))
	}
	for _, p := range l.CommonPrefixes {
		last = max(last, string(p.Prefix))
	}
	return last
}

// Append adds the entries of the next page and takes over its end.
func (l *ListVersions) Append(next *ListVersions) {
	l.Versions = append(l.Versions, next.Versions...)
	l.CommonPrefixes = appendPrefixes(l.CommonPrefixes, next.CommonPrefixes)
	l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = next.IsTruncated, next.NextKeyMarker, next.NextVersionIDMarker
}

// AnyList decodes a listing of versions or of objects.
type AnyList struct {
	EncodingType string `xml:"EncodingType"`

	Versions versionList            `xml:",any"`
	Contents Bounded[ListedVersion] `xml:"Contents"`
}

func (v *AnyList) Entries() []ListedVersion {
	return slices.Concat([]ListedVersion(v.Versions), v.Contents)
}

func (v *AnyList) Texts() (all []*Text) {
	for _, entries := range [][]ListedVersion{v.Versions, v.Contents} {
		for i := range entries {
			all = append(all, &entries[i].Key)
		}
	}
	return all
}

func (v *AnyList) Encoding() *string { return &v.EncodingType }

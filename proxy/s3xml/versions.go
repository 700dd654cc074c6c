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

// versionList has the versions and the delete markers of a document in its order. S3
// interleaves them, each key's newest first, and clients read the age from that.
type versionList []ListedVersion

// UnmarshalXML implements xml.Unmarshaler, once for each element that no other field of
// the document takes.
func (l *versionList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if start.Name.Local != "Version" && start.Name.Local != "DeleteMarker" {
		return d.Skip()
	}
	start.Name.Space = ""
	if err := AppendEntry((*[]ListedVersion)(l), MaxEntries, d, start); err != nil {
		return err
	}
	switch last := &(*l)[len(*l)-1]; {
	case last.Deletes():
		*last = ListedVersion{XMLName: last.XMLName, Key: last.Key, VersionID: last.VersionID, IsLatest: last.IsLatest, LastModified: last.LastModified, Owner: last.Owner}
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

// ListedVersion is one of them; XMLName tells which. A delete marker has no content.
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

// Deletes tells whether it is a delete marker.
func (v *ListedVersion) Deletes() bool { return v.XMLName.Local == "DeleteMarker" }

// VersionMarker is the place behind which a page begins, or the next one.
type VersionMarker struct {
	Key     Text
	Version string
}

// Next is the place behind a page that is truncated. Where that ends with a folder,
// versitygw 1.8 names it without its slash, and would list it once more.
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

// NameEnd has the document name the place behind the page as Next does.
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

// Clear makes it the page of no entries, which ends nowhere; MinIO takes 0 for no number.
func (l *ListVersions) Clear() {
	l.Versions, l.CommonPrefixes, l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = nil, nil, false, nil, nil
}

func (l *ListVersions) Entries() int { return len(l.Versions) + len(l.CommonPrefixes) }

// Last is the entry that sorts behind all others of the page.
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

// Append adds the entries of a further page and takes over its end.
func (l *ListVersions) Append(next *ListVersions) {
	l.Versions = append(l.Versions, next.Versions...)
	l.CommonPrefixes = appendPrefixes(l.CommonPrefixes, next.CommonPrefixes)
	l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = next.IsTruncated, next.NextKeyMarker, next.NextVersionIDMarker
}

// AnyList takes a listing of versions, or one of objects.
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

package s3xml

import (
	"cmp"
	"encoding/xml"
	"net/url"
	"slices"
	"strconv"
)

// ListUploads is the document of ListMultipartUploads.
type ListUploads struct {
	XMLName            xml.Name              `xml:"ListMultipartUploadsResult"`
	Xmlns              string                `xml:"xmlns,attr"`
	Bucket             string                `xml:"Bucket"`
	KeyMarker          Text                  `xml:"KeyMarker"`
	UploadIDMarker     string                `xml:"UploadIdMarker"`
	NextKeyMarker      Text                  `xml:"NextKeyMarker,omitempty"`
	NextUploadIDMarker string                `xml:"NextUploadIdMarker,omitempty"`
	Prefix             Text                  `xml:"Prefix"`
	Delimiter          Text                  `xml:"Delimiter,omitempty"`
	MaxUploads         int                   `xml:"MaxUploads"`
	EncodingType       string                `xml:"EncodingType,omitempty"`
	IsTruncated        bool                  `xml:"IsTruncated"`
	Uploads            uploadList            `xml:"Upload"`
	CommonPrefixes     Bounded[CommonPrefix] `xml:"CommonPrefixes"`
}

func (l *ListUploads) Texts() []*Text {
	all := []*Text{&l.KeyMarker, &l.NextKeyMarker, &l.Prefix, &l.Delimiter}
	for i := range l.Uploads.Page {
		all = append(all, &l.Uploads.Page[i].Key)
	}
	for i := range l.CommonPrefixes {
		all = append(all, &l.CommonPrefixes[i].Prefix)
	}
	return all
}

func (l *ListUploads) Encoding() *string { return &l.EncodingType }

type ListedUpload struct {
	Key               Text   `xml:"Key"`
	UploadID          string `xml:"UploadId"`
	Initiator         *Owner `xml:"Initiator"`
	Owner             *Owner `xml:"Owner"`
	StorageClass      string `xml:"StorageClass,omitempty"`
	Initiated         string `xml:"Initiated"`
	ChecksumAlgorithm string `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType      string `xml:"ChecksumType,omitempty"`
}

// Asked implements LongDocument.
func (l *ListUploads) Asked(q url.Values) {
	l.Uploads = uploadList{Most: MaxEntries, key: q.Get("key-marker"), id: q.Get("upload-id-marker"), encoded: q.Get("encoding-type") == "url"}
	if n, err := strconv.Atoi(q.Get("max-uploads")); err == nil && n > 0 {
		l.Uploads.Most = min(n, MaxEntries)
	}
}

// End sets where the page ends. Call it when the keys are decoded.
func (l *ListUploads) End() {
	u := &l.Uploads
	u.encoded = false
	if u.unpaged {
		u.cut()
	}
	if len(u.Page) == 0 {
		return
	}
	last := u.Page[len(u.Page)-1]
	switch {
	case u.more:
		l.IsTruncated, l.NextKeyMarker, l.NextUploadIDMarker = true, last.Key, last.UploadID
	case l.IsTruncated && l.NextKeyMarker == "": // MinIO names only the upload
		l.NextKeyMarker = last.Key
	}
}

// uploadList is one page of uploads, taken from a document that may have more. Whatever page it is
// asked for, MinIO answers a listing of a whole bucket with all uploads, ordered by age. If a store
// does that, uploadList cuts the page itself, and sorts the uploads of a key by id: then the page
// after an upload can be found even when that upload has been aborted. Uploads that are not on the
// page are dropped while the document is read.
type uploadList struct {
	Page    []ListedUpload
	Most    int    // uploads on a page
	key, id string // the marker
	encoded bool   // keys are in URL encoding
	unpaged bool   // the store ignored marker or page size
	more    bool   // there are more uploads after the page
}

// UnmarshalXML implements xml.Unmarshaler, once for each upload.
func (l *uploadList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var u ListedUpload
	if err := d.DecodeElement(&u, &start); err != nil {
		return err
	}
	l.add(u)
	return nil
}

func (l *uploadList) add(u ListedUpload) {
	if key := l.keyOf(u); key < l.key || key == l.key && (l.id == "" || l.id == u.UploadID) {
		l.unpaged = true
		return
	}
	if l.more && l.Most > 0 && l.compare(u, l.Page[l.Most-1]) > 0 { // behind a page that was cut
		return
	}
	u.own()
	l.Page = append(l.Page, u)
	l.unpaged = l.unpaged || len(l.Page) > l.Most
	if len(l.Page) > 2*l.Most {
		l.cut()
	}
}

// MarshalXML implements xml.Marshaler.
func (l uploadList) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	for _, u := range l.Page {
		if err := e.EncodeElement(u, start); err != nil {
			return err
		}
	}
	return nil
}

// cut reduces the uploads that the store has sent to the page.
func (l *uploadList) cut() {
	l.Page = slices.DeleteFunc(l.Page, func(u ListedUpload) bool { return l.keyOf(u) == l.key && u.UploadID <= l.id })
	slices.SortFunc(l.Page, l.compare)
	if len(l.Page) > l.Most {
		l.Page, l.more = l.Page[:l.Most], true
	}
}

func (l *uploadList) compare(a, b ListedUpload) int {
	return cmp.Or(cmp.Compare(l.keyOf(a), l.keyOf(b)), cmp.Compare(a.UploadID, b.UploadID))
}

func (l *uploadList) keyOf(u ListedUpload) string {
	if l.encoded {
		if plain, err := url.QueryUnescape(string(u.Key)); err == nil {
			return plain
		}
	}
	return string(u.Key)
}

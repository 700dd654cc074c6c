package proxy

import (
	"encoding/xml"
	"errors"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// bounded is the repeated element of a document that has at most maxEntries of
// them. A longer document is refused while it is read: a few bytes of XML make
// a few hundred of a struct.
type bounded[T any] []T

const maxEntries = 1000

var errTooManyEntries = errors.New("the document has more entries than S3's have")

// UnmarshalXML implements xml.Unmarshaler, once for each element.
func (b *bounded[T]) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return appendEntry((*[]T)(b), maxEntries, d, start)
}

// appendEntry reads one more of at most so many.
func appendEntry[T any](list *[]T, most int, d *xml.Decoder, start xml.StartElement) error {
	if len(*list) >= most {
		return errTooManyEntries
	}
	var entry T
	if err := d.DecodeElement(&entry, &start); err != nil {
		return err
	}
	*list = append(*list, entry)
	return nil
}

// maxDocument bounds what is read of a document into memory.
const maxDocument = s3xml.MaxBytes

package s3xml

import (
	"encoding/xml"
	"errors"
)

// Bounded is the repeated element of a document that has at most MaxEntries of
// them. A longer document is refused while it is read: a few bytes of XML make
// a few hundred of a struct.
type Bounded[T any] []T

const MaxEntries = 1000

var errTooManyEntries = errors.New("the document has more entries than S3's have")

// UnmarshalXML implements xml.Unmarshaler, once for each element.
func (b *Bounded[T]) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return AppendEntry((*[]T)(b), MaxEntries, d, start)
}

// AppendEntry reads one more of at most so many.
func AppendEntry[T any](list *[]T, most int, d *xml.Decoder, start xml.StartElement) error {
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

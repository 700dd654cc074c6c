package s3xml

import (
	"encoding/xml"
	"errors"
)

// Bounded is a repeated element that a document may have at most MaxEntries times. A longer
// document is refused while it is being read: a few bytes of XML become a few hundred of a struct.
type Bounded[T any] []T

const MaxEntries = 1000

var errTooManyEntries = errors.New("the document has more entries than S3's have")

// UnmarshalXML implements xml.Unmarshaler, once for each element.
func (b *Bounded[T]) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return AppendEntry((*[]T)(b), MaxEntries, d, start)
}

// AppendEntry reads one more entry of a list that may have at most so many.
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

package proxy

import (
	"encoding/xml"
	"errors"
)

// bounded is the repeated element of a document that has at most maxEntries of
// them. A longer document is refused while it is read: a few bytes of XML make
// a few hundred of a struct.
type bounded[T any] []T

const maxEntries = 1000

var errTooManyEntries = errors.New("the document has more than 1000 entries")

// UnmarshalXML implements xml.Unmarshaler, once for each element.
func (b *bounded[T]) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if len(*b) >= maxEntries {
		return errTooManyEntries
	}
	var entry T
	if err := d.DecodeElement(&entry, &start); err != nil {
		return err
	}
	*b = append(*b, entry)
	return nil
}

// maxDocument bounds what is read of a store's document: 1000 entries with keys
// of 1024 bytes, each byte perhaps a character reference, have less.
const maxDocument = 8 << 20

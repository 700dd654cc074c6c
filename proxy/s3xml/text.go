package s3xml

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Namespace is the namespace of all S3 documents. Not every store writes it, so the reader does not
// require it.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Text may hold any character. Keys may contain characters that XML 1.0 does not allow; S3 writes
// them as character references anyway, and encoding/xml would replace them with U+FFFD.
type Text string

// MarshalXML implements xml.Marshaler.
func (t Text) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(struct {
		Inner string `xml:",innerxml"`
	}{EscapeText(string(t))}, start)
}

func EscapeText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < 0x20 || r == 0x7f:
			b.WriteString("&#x" + strings.ToUpper(hexDigits(r)) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hexDigits(r rune) string {
	const digits = "0123456789abcdef"
	if r < 16 {
		return string(digits[r])
	}
	return string(digits[r>>4]) + string(digits[r&15])
}

// Keyed is a document with keys, which a store may URL-encode.
type Keyed interface {
	// Texts returns the texts to which encoding-type=url applies; some may be nil.
	Texts() []*Text
	Encoding() *string
}

// DecodeTexts undoes encoding-type=url.
func DecodeTexts(doc Keyed) error {
	for _, t := range doc.Texts() {
		if t == nil {
			continue
		}
		plain, err := url.QueryUnescape(string(*t))
		if err != nil {
			return fmt.Errorf("the store's listing: %w", err)
		}
		*t = Text(plain)
	}
	*doc.Encoding() = ""
	return nil
}

// EncodeTexts applies encoding-type=url as S3 does: '/' stays as it is.
func EncodeTexts(doc Keyed) {
	for _, t := range doc.Texts() {
		if t != nil {
			*t = Text(strings.ReplaceAll(url.QueryEscape(string(*t)), "%2F", "/"))
		}
	}
	*doc.Encoding() = "url"
}

// ISOTime converts a header's date to the format of S3's documents.
func ISOTime(header string) string {
	t, err := http.ParseTime(header)
	if err != nil {
		return header
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// ParseTime returns the zero time if text is not a time.
func ParseTime(text string) time.Time {
	t, _ := time.Parse(time.RFC3339, text)
	return t
}

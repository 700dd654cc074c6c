package s3xml

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Namespace is that of all of S3's documents. Not every store writes it, so
// that none is asked for when one is read.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Text is text that may hold any character. Keys may hold ones that XML 1.0
// has no place for; S3 writes them as references all the same, which
// encoding/xml would replace with U+FFFD.
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

// Keyed is a document with keys in it, which a store may write in URL encoding.
type Keyed interface {
	// texts are those that encoding-type=url applies to; some may be nil.
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

// ISOTime is a date of a header as S3's documents have it.
func ISOTime(header string) string {
	t, err := http.ParseTime(header)
	if err != nil {
		return header
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// ParseTime is the zero time where the store's is none.
func ParseTime(text string) time.Time {
	t, _ := time.Parse(time.RFC3339, text)
	return t
}

package s3xml

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
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

func EscapeText(s string) string { return string(appendText(nil, s)) }

const hexDigits = "0123456789ABCDEF"

func appendText(to []byte, s string) []byte {
	plain := 0
	for plain < len(s) && unescaped[s[plain]] {
		plain++
	}
	to = append(to, s[:plain]...)
	for _, r := range s[plain:] {
		switch {
		case r == '&':
			to = append(to, "&amp;"...)
		case r == '<':
			to = append(to, "&lt;"...)
		case r == '>':
			to = append(to, "&gt;"...)
		case r == '"':
			to = append(to, "&quot;"...)
		case r < 0x20 || r == 0x7f:
			to = append(to, "&#x"...)
			if r >= 16 {
				to = append(to, hexDigits[r>>4])
			}
			to = append(to, hexDigits[r&15], ';')
		default:
			to = utf8.AppendRune(to, r)
		}
	}
	return to
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
		if t != nil && strings.ContainsFunc(string(*t), isEncoded) {
			*t = Text(strings.ReplaceAll(url.QueryEscape(string(*t)), "%2F", "/"))
		}
	}
	*doc.Encoding() = "url"
}

// isEncoded tells whether encoding-type=url changes a character (RFC 3986, section 2.3).
func isEncoded(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("/-_.~", r)
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

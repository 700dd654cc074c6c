package s3xml

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// The bounds of one document. S3's largest are a listing of 1000 keys of 1024 bytes, in which
// every byte may be a character reference, and a list of 10,000 parts with their checksums. S3's
// deepest document nests seven elements.
const (
	MaxBytes    = 8 << 20
	MaxDepth    = 16
	MaxElements = 100_000
	// MaxLong replaces the bounds of bytes and elements for documents of which the reader keeps
	// little: MinIO sends all uploads of a bucket at once, 550 bytes for each.
	MaxLong = 128 << 20
	// maxToken bounds a text, and a tag including its attributes.
	maxToken = 64 << 10
)

// ErrBounds is the class of errors about a document that exceeds a bound.
var ErrBounds = errors.New("the XML document exceeds a bound")

// ErrSurrogate is the class of errors about a reference to half of a UTF-16 pair, which is not a
// character (XML 1.0, section 2.2). encoding/xml reads it as U+FFFD, so that two keys that differ
// only in such references would become one.
var ErrSurrogate = errors.New("the XML document refers to a surrogate, which is not a character")

// Decode reads a document into doc as encoding/xml does. Its error is ErrBounds, ErrSurrogate, an
// error of encoding/xml, or an error of r.
func Decode(r io.Reader, doc any) error {
	if plain, ok := doc.(plainDocument); ok {
		return decodePlain(r, plain)
	}
	return NewDecoder(r).Decode(doc)
}

// DecodeLong is Decode for a document of up to MaxLong bytes, of which doc keeps only little.
func DecodeLong(r io.Reader, doc LongDocument) error { return decodeLong(r, doc, longWindow) }

// Unmarshal is Decode for a document in memory.
func Unmarshal(b []byte, doc any) error {
	if d, ok := doc.(plainDocument); ok && len(b) <= maxPlain && d.readPlain(&plain{doc: string(b)}) {
		return nil
	}
	return NewDecoder(bytes.NewReader(b)).Decode(doc)
}

// NewDecoder returns a decoder that enforces the bounds. Use one for each document.
func NewDecoder(r io.Reader) *xml.Decoder { return decoder(r, MaxBytes, MaxElements) }

func decoder(r io.Reader, bytes, elements int) *xml.Decoder {
	b := &bounds{in: bufio.NewReader(r), maxBytes: bytes, maxElements: elements}
	b.raw = xml.NewDecoder(b)
	return xml.NewTokenDecoder(b)
}

// bounds counts what the decoder reads: bytes, and above them the tokens of raw.
type bounds struct {
	in                    *bufio.Reader
	raw                   *xml.Decoder
	maxBytes, maxElements int
	bytes, token          int // bytes read of the document, and of the current token
	depth, elements       int
	reference             reference
}

// ReadByte implements [io.ByteReader], which encoding/xml uses for reading.
func (b *bounds) ReadByte() (byte, error) {
	switch {
	case b.bytes == b.maxBytes:
		return 0, fmt.Errorf("%w: more than %d bytes", ErrBounds, b.maxBytes)
	case b.token == maxToken:
		return 0, fmt.Errorf("%w: a text or tag of more than %d bytes", ErrBounds, maxToken)
	}
	c, err := b.in.ReadByte()
	if err != nil {
		return c, err
	}
	b.bytes++
	b.token++
	if b.reference.surrogate(c) {
		return 0, ErrSurrogate
	}
	return c, nil
}

// Read implements [io.Reader] for callers that need one.
func (b *bounds) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := b.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// Token implements [xml.TokenReader].
func (b *bounds) Token() (xml.Token, error) {
	b.token = 0
	t, err := b.raw.RawToken()
	switch t.(type) {
	case xml.StartElement:
		b.depth++
		b.elements++
	case xml.EndElement:
		b.depth--
	}
	switch {
	case b.depth > MaxDepth:
		return nil, fmt.Errorf("%w: elements nested more than %d deep", ErrBounds, MaxDepth)
	case b.elements > b.maxElements:
		return nil, fmt.Errorf("%w: more than %d elements", ErrBounds, b.maxElements)
	}
	return t, err
}

package envelope

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// MetadataPrefix begins the name of every metadata field of s3proxy, without "x-amz-meta-".
const MetadataPrefix = "s3proxy-"

// MaxMetadata limits the total length of all names and values in bytes, with names as
// [Metadata.Encode] writes them. AWS allows 2 KB of user metadata, most of which belongs to the
// client.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
const MaxMetadata = 700

const (
	maxKEK       = 200
	windowIDSize = 16
	minFacts     = SegmentOverhead + 3 // no size, no MD5, no checksum
	maxFacts     = SegmentOverhead + 1 + 8 + 1 + md5Size + 2 + maxChecksum
)

// The names, without MetadataPrefix. "mac" is reserved, and refused like any unknown name.
const (
	nameFormat = "format"
	nameKind   = "kind"
	nameKEK    = "kek"
	nameWindow = "window"
	nameDEK    = "dek"
	nameCommit = "commit"
	nameFacts  = "facts"
)

// Metadata is the part of an object's user metadata that is needed, with the KEK, to read it.
type Metadata struct {
	Kind Kind
	// KEK is the versioned URI of the key that wrapped Window (in window 0: DEK): 1 to 200 visible
	// ASCII characters. It selects one of the configured keys and is never used as an address.
	KEK string
	// Window is the wrapped window key; nil in window 0, where the KEK wraps the DEK itself.
	Window []byte
	// DEK is the wrapped data key.
	DEK        []byte
	Commitment [32]byte
	// Facts is the result of DEK.SealFacts. It is always present, so that its absence cannot
	// reveal that nothing was known.
	Facts []byte
}

// WindowID identifies the object's window; nil in window 0.
func (m *Metadata) WindowID() []byte {
	if m.Window == nil {
		return nil
	}
	return WindowID(m.Window)
}

// WindowID identifies a window: the first 16 bytes of the SHA-256 of its wrapped key, as the
// objects of the window hold it in their metadata.
func WindowID(wrapped []byte) []byte {
	sum := sha256.Sum256(wrapped)
	return sum[:windowIDSize]
}

// coding ignores line ends and stray bits after the last byte when it decodes. Therefore every
// decoder encodes the result again and compares.
var coding = base64.RawURLEncoding

// Encode returns the metadata as names (without "x-amz-meta-") and values. It returns ErrMetadata
// if a field is missing or malformed, or the total is over MaxMetadata.
func (m *Metadata) Encode() (map[string]string, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	fields := map[string]string{
		MetadataPrefix + nameFormat: strconv.Itoa(Format),
		MetadataPrefix + nameKind:   m.Kind.String(),
		MetadataPrefix + nameKEK:    m.KEK,
		MetadataPrefix + nameDEK:    coding.EncodeToString(m.DEK),
		MetadataPrefix + nameCommit: coding.EncodeToString(m.Commitment[:]),
		MetadataPrefix + nameFacts:  coding.EncodeToString(m.Facts),
	}
	if m.Window != nil {
		fields[MetadataPrefix+nameWindow] = coding.EncodeToString(m.Window)
	}
	if n := total(fields); n > MaxMetadata {
		return nil, fmt.Errorf("%w: %d bytes of at most %d; a shorter KEK URI helps", ErrMetadata, n, MaxMetadata)
	}
	return fields, nil
}

func total(fields map[string]string) (n int) {
	for name, value := range fields {
		n += len(name) + len(value)
	}
	return n
}

func (m *Metadata) check() error {
	if _, ok := parseKind(m.Kind.String()); !ok {
		return fmt.Errorf("unknown kind %d", uint8(m.Kind))
	}
	if len(m.KEK) < 1 || len(m.KEK) > maxKEK {
		return fmt.Errorf("a KEK URI of %d characters, not 1 to %d", len(m.KEK), maxKEK)
	}
	for _, c := range []byte(m.KEK) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("a KEK URI with the byte %#02x", c)
		}
	}
	if m.Window != nil && len(m.Window) == 0 {
		return fmt.Errorf("a wrapped window key of no byte")
	}
	if len(m.DEK) == 0 {
		return fmt.Errorf("no wrapped data key")
	}
	if len(m.Facts) < minFacts || len(m.Facts) > maxFacts {
		return fmt.Errorf("sealed facts of %d bytes", len(m.Facts))
	}
	return nil
}

// ParseMetadata reads an object's user metadata: names in lower case, without "x-amz-meta-".
// Fields that are not s3proxy's are ignored. Encode reproduces all accepted metadata byte for byte.
//
// It returns ErrNotEncrypted if there is no s3proxy-* field at all, *FormatError if the format
// number is unknown, and ErrMetadata for every other fault.
func ParseMetadata(fields map[string]string) (*Metadata, error) {
	own := make(map[string]string, 7)
	for name, value := range fields {
		if rest, ok := strings.CutPrefix(name, MetadataPrefix); ok {
			own[rest] = value
		}
	}
	if len(own) == 0 {
		return nil, ErrNotEncrypted
	}
	// The format is checked first: another format may have other names.
	if err := checkFormat(own); err != nil {
		return nil, err
	}
	m, err := parseOwn(own)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	return m, nil
}

func checkFormat(own map[string]string) error {
	number, ok := own[nameFormat]
	switch {
	case !ok:
		return fmt.Errorf("%w: %s%s is missing", ErrMetadata, MetadataPrefix, nameFormat)
	case number == strconv.Itoa(Format):
		return nil
	case number == "" || len(number) > 9 || strings.Trim(number, "0123456789") != "":
		return fmt.Errorf("%w: %s%s is not a number", ErrMetadata, MetadataPrefix, nameFormat)
	}
	return &FormatError{Number: number}
}

func parseOwn(own map[string]string) (*Metadata, error) {
	size := 0
	for name, value := range own {
		size += len(MetadataPrefix) + len(name) + len(value)
		switch name {
		case nameFormat, nameKind, nameKEK, nameWindow, nameDEK, nameCommit, nameFacts:
		default:
			return nil, fmt.Errorf("unknown name %.40q", MetadataPrefix+name)
		}
	}
	if size > MaxMetadata {
		return nil, fmt.Errorf("%d bytes of at most %d", size, MaxMetadata)
	}
	m := &Metadata{KEK: own[nameKEK]}
	var ok bool
	if m.Kind, ok = parseKind(own[nameKind]); !ok {
		return nil, fmt.Errorf("%s%s is missing or unknown", MetadataPrefix, nameKind)
	}
	var err error
	if m.DEK, err = decode(nameDEK, own[nameDEK]); err != nil {
		return nil, err
	}
	if m.Facts, err = decode(nameFacts, own[nameFacts]); err != nil {
		return nil, err
	}
	commit, err := decode(nameCommit, own[nameCommit])
	if err != nil {
		return nil, err
	}
	if len(commit) != len(m.Commitment) {
		return nil, fmt.Errorf("a commitment of %d bytes", len(commit))
	}
	m.Commitment = [32]byte(commit)
	if window, there := own[nameWindow]; there {
		if m.Window, err = decode(nameWindow, window); err != nil {
			return nil, err
		}
	}
	return m, m.check()
}

// decode accepts only the canonical spelling. A missing value decodes as empty; check refuses it.
func decode(name, value string) ([]byte, error) {
	b, err := coding.DecodeString(value)
	var again [MaxMetadata]byte
	if err != nil || string(coding.AppendEncode(again[:0], b)) != value {
		return nil, fmt.Errorf("%s%s is not base64url without padding", MetadataPrefix, name)
	}
	return b, nil
}

package envelope

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	trailerMagic = "S3PXYEND"
	entrySize    = 2 + 8 + 12 + 1 + md5Size + 1 + maxChecksum // 104
	summarySize  = 160
	// summaryFields is the length of the summary without its reserved bytes.
	summaryFields = 8 + 4 + 4 + tagSize + 1 + md5Size + 2 + maxChecksum + 16
	sealedSummary = SegmentOverhead + summarySize
	trailerEnd    = sealedSummary + len(trailerMagic)
)

// TrailerGuess is the length, in bytes, of the suffix of a stored object to request first. It
// covers the trailer of objects just under 2 GiB; a longer trailer takes a second request, whose
// length [NeedMore] tells.
const TrailerGuess = 64 << 10

// Trailer is the end of a stored object. It proves that no part was dropped, exchanged or cut, and
// holds what was known only at the end of the body.
type Trailer struct {
	Kind       Kind
	Parts      []Part
	Size       int64 // plaintext bytes: the sum of the parts
	Facts      Facts
	UploadHash [16]byte // zero in a single PUT
}

// check holds for every trailer, written or read.
func (t *Trailer) check() error {
	size, err := checkParts(t.Kind, t.Parts)
	if err != nil {
		return err
	}
	if size != t.Size {
		return fmt.Errorf("the parts have %d bytes, the object %d", size, t.Size)
	}
	if t.Kind == KindSingle && t.UploadHash != [16]byte{} {
		return errors.New("a single object with an upload")
	}
	return t.Facts.check()
}

// length is the length of the stored trailer: StoredSize less the stored parts.
func (t *Trailer) length() int64 {
	n := StoredSize(t.Size)
	for _, p := range t.Parts {
		n -= StoredPartSize(p.Size)
	}
	return n
}

// SealTrailer returns the stored trailer. Its length is StoredSize of the whole less StoredPartSize
// of each part, in bytes. It returns ErrLayout if t breaks a rule: one part in a single object;
// ascending numbers from 1 to 10,000 in a multipart one; at least 5 MiB in every part but the last;
// sizes that add up.
func (d *DEK) SealTrailer(t *Trailer) ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	length := int(t.length())
	tableSize := length - trailerEnd - SegmentOverhead
	table, err := t.encodeTable(tableSize)
	if err != nil {
		return nil, err
	}
	out, err := d.seal(make([]byte, 0, length), table, sealedAAD(t.Kind, tagTable))
	if err != nil {
		return nil, err
	}
	summary := t.encodeSummary(len(out), [tagSize]byte(out[len(out)-tagSize:]))
	if out, err = d.seal(out, summary, sealedAAD(t.Kind, tagSummary)); err != nil {
		return nil, err
	}
	return append(out, trailerMagic...), nil
}

// OpenTrailer opens the trailer of an object of stored bytes, given a suffix of them. It returns
// *NeedMore if the suffix is shorter than the trailer: call again with as many bytes as that says.
// ErrTampered means that part of the trailer does not authenticate, ErrTrailer that it is missing,
// or contradicts itself or the stored size.
func (d *DEK) OpenTrailer(k Kind, stored int64, suffix []byte) (*Trailer, error) {
	plain, ok := PlainSize(stored)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: no object has %d stored bytes", ErrTrailer, stored)
	case int64(len(suffix)) > stored:
		return nil, fmt.Errorf("%w: a suffix of %d bytes of %d", ErrTrailer, len(suffix), stored)
	case k != KindSingle && k != KindMultipart:
		return nil, fmt.Errorf("%w: an object of kind %q has none", ErrTrailer, k)
	case len(suffix) < trailerEnd:
		return nil, &NeedMore{Bytes: int64(trailerEnd)}
	}
	table, rest := suffix[:len(suffix)-trailerEnd], suffix[len(suffix)-trailerEnd:]
	if string(rest[sealedSummary:]) != trailerMagic {
		return nil, fmt.Errorf("%w: the object does not end with one", ErrTrailer)
	}
	plaintext, err := d.open(rest[:sealedSummary], sealedAAD(k, tagSummary))
	if err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	s, err := parseSummary(plaintext)
	if err != nil {
		return nil, fmt.Errorf("%w: summary: %w", ErrTrailer, err)
	}
	if s.size != plain || s.tableLength+int64(trailerEnd) > maxTrailer(plain) {
		return nil, fmt.Errorf("%w: it belongs to an object of another size", ErrTrailer)
	}
	if int64(len(table)) < s.tableLength {
		return nil, &NeedMore{Bytes: s.tableLength + int64(trailerEnd)}
	}
	return d.openTable(k, s, table[int64(len(table))-s.tableLength:])
}

func (d *DEK) openTable(k Kind, s summary, sealed []byte) (*Trailer, error) {
	plaintext, err := d.open(sealed, sealedAAD(k, tagTable))
	if err != nil {
		return nil, fmt.Errorf("part table: %w", err)
	}
	// Authentication has fixed the tag, and it is public: no need to compare it in constant time.
	if [tagSize]byte(sealed[len(sealed)-tagSize:]) != s.tableTag {
		return nil, fmt.Errorf("%w: the summary belongs to another part table", ErrTrailer)
	}
	parts, err := parseTable(plaintext, s.partCount)
	if err != nil {
		return nil, fmt.Errorf("%w: part table: %w", ErrTrailer, err)
	}
	t := &Trailer{Kind: k, Parts: parts, Size: s.size, Facts: s.facts, UploadHash: s.uploadHash}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrailer, err)
	}
	if t.length() != s.tableLength+int64(trailerEnd) {
		return nil, fmt.Errorf("%w: its length does not match the object's size and parts", ErrTrailer)
	}
	return t, nil
}

// encodeTable returns the table's plaintext, padded to size.
func (t *Trailer) encodeTable(size int) ([]byte, error) {
	w := writer{b: make([]byte, 0, size)}
	w.u32(uint32(len(t.Parts)))
	for _, p := range t.Parts {
		w.u16(uint16(p.Number))
		w.u64(uint64(p.Size))
		w.bytes(p.ID[:])
		w.md5(p.MD5)
		w.u8(uint8(p.Checksum.Algorithm))
		w.value(p.Checksum.Value)
	}
	if len(w.b) > size {
		panic("envelope: internal error: no room for the part table") // TestTrailerRoom
	}
	w.zeros(size - len(w.b))
	return w.b, nil
}

func parseTable(plaintext []byte, count int) ([]Part, error) {
	r := reader{b: plaintext}
	if got := r.u32(); int64(got) != int64(count) || count < 1 || count > MaxParts || len(r.b) < count*entrySize {
		return nil, fmt.Errorf("%d parts, but %d in the summary", got, count)
	}
	if !allZero(r.b[count*entrySize:]) {
		return nil, errors.New("the padding is not zero")
	}
	// Clone, so that keeping a trailer does not keep the padding in memory.
	r.b = bytes.Clone(r.b[:count*entrySize])
	parts := make([]Part, count)
	for i := range parts {
		p := &parts[i]
		p.Number = int(r.u16())
		p.Size = int64(r.u64()) // negative if over 2^63; check refuses that
		p.ID = PartID(r.take(len(p.ID)))
		p.MD5 = r.md5()
		p.Checksum.Algorithm = Algorithm(r.u8())
		p.Checksum.Value = r.value(p.Checksum.Algorithm)
	}
	return parts, r.end()
}

// summary sits at a fixed distance from the end. Trailer.check checks its facts.
type summary struct {
	size        int64
	tableLength int64 // sealed
	partCount   int
	tableTag    [tagSize]byte
	facts       Facts
	uploadHash  [16]byte
}

func (t *Trailer) encodeSummary(tableLength int, tableTag [tagSize]byte) []byte {
	w := writer{b: make([]byte, 0, summarySize)}
	w.u64(uint64(t.Size))
	w.u32(uint32(tableLength))
	w.u32(uint32(len(t.Parts)))
	w.bytes(tableTag[:])
	w.md5(t.Facts.MD5)
	w.u8(uint8(t.Facts.Checksum.Algorithm))
	w.u8(uint8(t.Facts.Checksum.Type))
	w.value(t.Facts.Checksum.Value)
	w.bytes(t.UploadHash[:])
	w.zeros(summarySize - summaryFields)
	return w.b
}

func parseSummary(plaintext []byte) (summary, error) {
	r := reader{b: plaintext}
	s := summary{size: int64(r.u64()), tableLength: int64(r.u32()), partCount: int(r.u32())}
	s.tableTag = [tagSize]byte(r.take(tagSize))
	s.facts.MD5 = r.md5()
	s.facts.Checksum.Algorithm = Algorithm(r.u8())
	s.facts.Checksum.Type = ChecksumType(r.u8())
	s.facts.Checksum.Value = r.value(s.facts.Checksum.Algorithm)
	s.uploadHash = [16]byte(r.take(16))
	r.zeros(summarySize - summaryFields)
	if err := r.end(); err != nil {
		return summary{}, err
	}
	if s.tableLength < SegmentOverhead+4+entrySize {
		return summary{}, fmt.Errorf("a part table of %d bytes", s.tableLength)
	}
	return s, nil
}

func (t *Trailer) equal(o *Trailer) bool {
	return t.Kind == o.Kind && t.Size == o.Size && t.UploadHash == o.UploadHash &&
		bytes.Equal(t.Facts.MD5, o.Facts.MD5) && t.Facts.Checksum.equal(o.Facts.Checksum) &&
		sameParts(t.Parts, o.Parts) && sameFacts(t.Parts, o.Parts)
}

// sameParts compares the fields that segments are authenticated with.
func sameParts(a, b []Part) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Number != b[i].Number || a[i].Size != b[i].Size || a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

func sameFacts(a, b []Part) bool {
	for i := range a {
		if !bytes.Equal(a[i].MD5, b[i].MD5) || !a[i].Checksum.equal(b[i].Checksum) {
			return false
		}
	}
	return true
}

func (c Checksum) equal(o Checksum) bool {
	return c.Algorithm == o.Algorithm && c.Type == o.Type && bytes.Equal(c.Value, o.Value)
}

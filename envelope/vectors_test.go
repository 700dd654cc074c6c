package envelope

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// wantVectors is the number of vectors. It makes the test fail if the folder is lost or the loader
// skips files.
const wantVectors = 216

// vector is one file of testdata/vectors; testdata/README.md explains the fields.
type vector struct {
	name                string
	expect, what        string
	releasedLength      int
	releasedHash        string
	kek, dek, floor     []byte
	bucket, key, upload string
	seed                string
	meta                map[string]string
	record, etag        string
	offset, length      int64
	stored              int64
	chunks              [][2]int64
	body                []byte
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != wantVectors {
		t.Fatalf("%d vectors, expected %d", len(files), wantVectors)
	}
	out := make([]vector, len(files))
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = parseVector(filepath.Base(file), raw); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return out
}

func parseVector(name string, raw []byte) (vector, error) {
	header, body, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok {
		return vector{}, errors.New("no empty line")
	}
	v := vector{name: name, body: body, meta: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(header))
	var errs []error
	unhex := func(s string) []byte { b, err := hex.DecodeString(s); errs = append(errs, err); return b }
	unquote := func(s string) string { u, err := strconv.Unquote(s); errs = append(errs, err); return u }
	number := func(s string) int64 { n, err := strconv.ParseInt(s, 10, 64); errs = append(errs, err); return n }
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		first, second, _ := strings.Cut(value, " ")
		switch name {
		case "expect":
			v.expect = value
		case "comment":
		case "what":
			v.what = value
		case "released":
			v.releasedLength, v.releasedHash = int(number(first)), second
		case "kek":
			v.kek = unhex(value)
		case "dek":
			v.dek = unhex(value)
		case "floor":
			v.floor = unhex(value)
		case "bucket":
			v.bucket = value
		case "key":
			v.key = value
		case "upload":
			v.upload = value
		case "seed":
			v.seed = value
		case "meta":
			v.meta[first] = unquote(second)
		case "record":
			v.record = unquote(value)
		case "etag":
			v.etag = unquote(value)
		case "range":
			v.offset, v.length = number(first), number(second)
		case "stored":
			v.stored = number(value)
		case "chunk":
			v.chunks = append(v.chunks, [2]int64{number(first), number(second)})
		default:
			return v, fmt.Errorf("unknown line %q", name)
		}
	}
	return v, errors.Join(append(errs, lines.Err())...)
}

// class names an error's one class in the words of the expect lines.
func class(err error) string {
	if err == nil {
		return "ok"
	}
	var found []string
	for sentinel, name := range map[error]string{
		ErrTampered: "tampered", ErrTruncated: "truncated", ErrCommitment: "commitment", ErrKey: "key",
		ErrMetadata: "metadata", ErrNotEncrypted: "not encrypted", ErrTrailer: "trailer", ErrLayout: "layout", ErrTooLong: "too long",
	} {
		if errors.Is(err, sentinel) {
			found = append(found, name)
		}
	}
	if e := (*FormatError)(nil); errors.As(err, &e) {
		found = append(found, "format")
	}
	if e := (*NeedMore)(nil); errors.As(err, &e) {
		found = append(found, "need more")
	}
	slices.Sort(found)
	return strings.Join(found, "+")
}

func TestEveryVectorGivesItsErrorAndReleasesNothingElse(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			for way, read := range readings {
				var released bytes.Buffer
				err := v.open(&released, read)
				if got := class(err); got != v.expect {
					t.Fatalf("%s: %v is %q, expected %q", way, err, got, v.expect)
				}
				sum := sha256.Sum256(released.Bytes())
				if released.Len() != v.releasedLength || hex.EncodeToString(sum[:]) != v.releasedHash {
					t.Fatalf("%s: released %d bytes, not the %d expected", way, released.Len(), v.releasedLength)
				}
			}
		})
	}
}

// readings are the ways to read from an OpenReader; all must release the same bytes.
var readings = map[string]func(w io.Writer, o *OpenReader) error{
	"WriteTo":   func(w io.Writer, o *OpenReader) error { _, err := o.WriteTo(w); return err },
	"Read":      func(w io.Writer, o *OpenReader) error { return readWith(w, o, 32<<10) },
	"odd Reads": func(w io.Writer, o *OpenReader) error { return readWith(w, o, 4099) },
}

func readWith(w io.Writer, r io.Reader, size int) error {
	buf := make([]byte, size)
	for {
		n, err := r.Read(buf)
		w.Write(buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// open makes the checks that a reader must make, in the order of docs/FORMAT.md.
func (v vector) open(w io.Writer, read func(io.Writer, *OpenReader) error) error {
	if v.what == "record" {
		return v.openRecord()
	}
	m, err := ParseMetadata(v.meta)
	if err != nil {
		return err
	}
	dek, err := v.unwrap(m)
	if err != nil {
		return err
	}
	dek.Under(v.floor)
	if err := dek.CheckCommitment(m.Commitment); err != nil {
		return err
	}
	if _, err := dek.OpenFacts(m.Kind, v.stored, m.Facts); err != nil {
		return err
	}
	if v.what == "key" {
		return nil
	}
	o, err := v.reader(dek, m.Kind)
	if err != nil {
		return err
	}
	defer o.Close()
	return read(w, o)
}

func (v vector) reader(dek *DEK, k Kind) (*OpenReader, error) {
	source := iotest.HalfReader(bytes.NewReader(v.body))
	if k == KindEmpty {
		return dek.OpenObject(k, Layout{}, v.stored, nil, source), nil
	}
	if k == KindSingle {
		n, ok := PlainSize(v.stored)
		if !ok {
			return nil, fmt.Errorf("%w: no such stored size", ErrTrailer)
		}
		return dek.OpenObject(k, SingleLayout(n), v.stored, nil, source), nil
	}
	trailer, err := dek.OpenTrailer(k, v.stored, v.body[max(0, len(v.body)-TrailerGuess):])
	if err != nil {
		return nil, err
	}
	l := MultipartLayout(trailer.Parts)
	if v.what == "object" {
		return dek.OpenObject(k, l, v.stored, trailer, source), nil
	}
	s := l.Span(v.offset, v.length)
	if s.Offset != v.chunks[0][0] || s.Length != v.chunks[0][1] {
		return nil, fmt.Errorf("the span is %d+%d, not %v", s.Offset, s.Length, v.chunks[0])
	}
	return dek.Open(k, l, s, source), nil
}

// canonical is kms.Context.Canonical, written independently from docs/FORMAT.md.
func canonical(pairs map[string]string) []byte {
	out := []byte("s3proxy context v1")
	out = binary.BigEndian.AppendUint32(out, uint32(len(pairs)))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		for _, s := range []string{name, pairs[name]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(s)))
			out = append(out, s...)
		}
	}
	return out
}

func hexOf(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }

// rawGCM is a tink.AEAD whose IVs the test chooses.
type rawGCM struct {
	cipher.AEAD
	random func([]byte)
}

func newRawGCM(key []byte, random func([]byte)) rawGCM {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return rawGCM{a, random}
}

func (r rawGCM) Encrypt(plaintext, aad []byte) ([]byte, error) {
	iv := make([]byte, 12)
	r.random(iv)
	return r.Seal(iv, iv, plaintext, aad), nil
}

func (r rawGCM) Decrypt(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < 28 {
		return nil, errors.New("too short")
	}
	return r.Open(nil, sealed[:12], sealed[12:], aad)
}

// unwrap does the keyring's work, with a raw AES key in place of a KMS.
func (v vector) unwrap(m *Metadata) (*DEK, error) {
	kek := newRawGCM(v.kek, nil)
	if m.Window == nil {
		return UnwrapDEK(kek, m.DEK, canonical(v.windowZeroContext(m.Kind)))
	}
	window, err := kek.Decrypt(m.Window, canonical(map[string]string{"bucket": v.bucket}))
	if err != nil {
		return nil, fmt.Errorf("%w: window key: %w", ErrKey, err)
	}
	return UnwrapDEK(newRawGCM(window, nil), m.DEK, canonical(v.windowContext(m)))
}

func (v vector) windowZeroContext(k Kind) map[string]string {
	c := map[string]string{"bucket": v.bucket, "key-sha256": hexOf(v.key), "format": "1", "kind": k.String()}
	if v.upload != "" {
		c["upload-sha256"] = hexOf(v.upload)
	}
	return c
}

func (v vector) windowContext(m *Metadata) map[string]string {
	c := map[string]string{"bucket": v.bucket, "key": v.key, "format": "1", "kind": m.Kind.String(), "kek": m.KEK, "window": hex.EncodeToString(m.WindowID())}
	if v.upload != "" {
		c["upload"] = v.upload
	}
	return c
}

func (v vector) openRecord() error {
	dek, err := DEKFromBytes(v.dek)
	if err != nil {
		return err
	}
	r, err := dek.OpenRecord(UploadHash(v.upload), v.record)
	if err == nil && r.ETag != v.etag {
		return fmt.Errorf("ETag %q, expected %q", r.ETag, v.etag)
	}
	return err
}

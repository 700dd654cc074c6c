package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
)

const md5Size = 16

var errEncoding = errors.New("not in the canonical encoding")

// writer appends the encodings shared by table, summary, facts and record. Integers are
// big-endian.
type writer struct{ b []byte }

func (w *writer) u8(v uint8)     { w.b = append(w.b, v) }
func (w *writer) u16(v uint16)   { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64)   { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) bytes(v []byte) { w.b = append(w.b, v...) }

func (w *writer) zeros(n int) { w.b = append(w.b, make([]byte, n)...) }

// md5 writes 17 bytes: a presence flag, then the value or zeros.
func (w *writer) md5(v []byte) {
	if len(v) == 0 {
		w.zeros(1 + md5Size)
		return
	}
	w.shortMD5(v)
}

// shortMD5 writes a presence flag, and the value if there is one.
func (w *writer) shortMD5(v []byte) {
	if len(v) == 0 {
		w.u8(0)
		return
	}
	w.u8(1)
	w.bytes(v)
}

// value writes a checksum's value, padded to 64 bytes.
func (w *writer) value(v []byte) {
	w.bytes(v)
	w.zeros(maxChecksum - len(v))
}

// reader decodes what writer wrote, and accepts only the canonical encoding. After the first error
// it is bad: all further results are zero, and end returns the error.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n) // n is small, and never comes from the input
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	if n == 0 {
		return nil
	}
	return v
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) zeros(n int) {
	if !allZero(r.take(n)) {
		r.bad = true
	}
}

func (r *reader) flag() bool {
	v := r.u8()
	if v > 1 {
		r.bad = true
	}
	return v == 1
}

func (r *reader) md5() []byte {
	if r.flag() {
		return r.take(md5Size)
	}
	r.zeros(md5Size)
	return nil
}

func (r *reader) shortMD5() []byte {
	if r.flag() {
		return r.take(md5Size)
	}
	return nil
}

func (r *reader) value(a Algorithm) []byte {
	v := r.take(a.Size())
	r.zeros(maxChecksum - a.Size())
	return v
}

// end returns an error if the reader is bad or has bytes left.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errEncoding
	}
	return nil
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

package proxy

import (
	"bytes"
	"fmt"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// send answers with length bytes of plaintext. The header goes out with the
// first authenticated bytes, so that an object that is damaged from its
// beginning on gets an error document; later damage cuts the connection.
func (rd *reading) send(s *object.Stored, offset, length int64, plain *envelope.OpenReader) error {
	defer plain.Close()
	w := &lateHeader{w: rd.w, send: func() { rd.sendHeader(s, offset, length) }}
	if _, err := plain.WriteTo(w); err != nil {
		return err
	}
	w.begin()
	return nil
}

// lateHeader sends the header before the first byte.
type lateHeader struct {
	w    io.Writer
	send func()
}

func (l *lateHeader) begin() {
	if l.send != nil {
		l.send()
		l.send = nil
	}
}

func (l *lateHeader) Write(b []byte) (int, error) {
	l.begin()
	return l.w.Write(b)
}

// sendLegacy answers with a whole object of the older s3proxy. A small one is read to its end first,
// so that one whose MD5 is another gets an error document, and no byte of it comes out.
func (rd *reading) sendLegacy(s *object.Stored, plain io.Reader) error {
	if s.Size <= holdLimit && rd.proxy.hold.TryAcquire(s.Size) {
		defer rd.proxy.hold.Release(s.Size)
		whole := bytes.NewBuffer(make([]byte, 0, s.Size+bytes.MinRead))
		if _, err := whole.ReadFrom(plain); err != nil {
			return err
		}
		plain = whole
	}
	return rd.sendStream(s, 0, s.Size, plain)
}

// sendStream answers with length bytes that nothing but the reader checks. Its failure cuts the
// connection before the last of them.
func (rd *reading) sendStream(s *object.Stored, offset, length int64, plain io.Reader) error {
	w := &lateHeader{w: rd.w, send: func() { rd.sendHeader(s, offset, length) }}
	if _, err := io.Copy(w, plain); err != nil {
		return err
	}
	w.begin()
	return nil
}

// copyPlain sends the bytes of a plaintext object, and fails if there are too few.
func (rd *reading) copyPlain(body io.Reader, length int64) error {
	n, err := io.Copy(rd.w, body)
	if err == nil && n != length {
		err = fmt.Errorf("%w: the store sent %d of %d bytes", envelope.ErrTruncated, n, length)
	}
	return err
}

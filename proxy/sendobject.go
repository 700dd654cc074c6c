package proxy

import (
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

// copyPlain sends the bytes of a plaintext object, and fails if there are too few.
func (rd *reading) copyPlain(body io.Reader, length int64) error {
	n, err := io.Copy(rd.w, body)
	if err == nil && n != length {
		err = fmt.Errorf("%w: the store sent %d of %d bytes", envelope.ErrTruncated, n, length)
	}
	return err
}

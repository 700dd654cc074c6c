package multipart

import (
	"fmt"
	"io"
	"os"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// spooledBody is the ciphertext of a small part, which is sent twice: in memory if the budget has
// room for it, otherwise in a temporary file that is already unlinked.
type spooledBody struct {
	mem     []byte
	file    *os.File
	size    int64
	release func()
}

// spool reads exactly size bytes of ciphertext.
func (a *Uploads) spool(sealed io.Reader, size int64) (*spooledBody, error) {
	if a.budget.TryAcquire(size) {
		k := &spooledBody{mem: make([]byte, size), size: size, release: func() { a.budget.Release(size) }}
		if _, err := io.ReadFull(sealed, k.mem); err != nil {
			k.release()
			return nil, err
		}
		return k, nil
	}
	f, err := object.UnnamedFile(".s3proxy-part-*")
	if err != nil {
		return nil, s3err.SlowDown.WithMessage("Too many small parts at once; please try again.").Because(fmt.Errorf("no memory left in the budget, and no temporary file: %w", err))
	}
	k := &spooledBody{file: f, size: size, release: func() { f.Close() }}
	if n, err := io.Copy(f, sealed); err != nil || n != size {
		k.release()
		if err == nil {
			err = fmt.Errorf("%d of %d bytes of a part: %w", n, size, io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	return k, nil
}

// request returns a request with the body, for one sending.
func (k *spooledBody) request() *upstream.Request {
	if k.file != nil {
		return &upstream.Request{Body: io.NewSectionReader(k.file, 0, k.size), Length: k.size}
	}
	return &upstream.Request{Bytes: k.mem}
}

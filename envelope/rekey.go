package envelope

import (
	"fmt"
	"io"
)

// ResealObject re-encrypts an object: it pulls the stored bytes under d and returns as many bytes
// under the key to, with the same kind, parts and facts. stored is the length the store announced,
// want the object's trailer. Data is authenticated under d before it is sealed again, and the last
// segment and the trailer come only after the old object was read to its end. Errors are those of
// [DEK.OpenObject] and [DEK.SealPart]. Not for KindEmpty, which has no bytes. The caller closes
// the reader; both keys must outlive it.
func (d *DEK) ResealObject(to *DEK, stored int64, want *Trailer, ciphertext io.Reader) io.ReadCloser {
	layout := SingleLayout(want.Size)
	if want.Kind == KindMultipart {
		layout = MultipartLayout(want.Parts)
	}
	plain := d.OpenObject(want.Kind, layout, stored, want, ciphertext)
	if want.Kind == KindSingle {
		return &resealed{Reader: to.SealObject(want.Size, plain, func() Facts { return want.Facts }), plain: plain}
	}
	fresh := *want
	fresh.Parts = make([]Part, len(want.Parts))
	pieces := make([]io.Reader, 0, len(want.Parts)+1)
	for i, p := range want.Parts {
		p.ID = NewPartID()
		fresh.Parts[i] = p
		pieces = append(pieces, to.SealPart(want.Kind, p, &partSource{plain: plain, left: p.Size, last: i == len(want.Parts)-1}))
	}
	pieces = append(pieces, &lateTrailer{seal: func() ([]byte, error) { return to.SealTrailer(&fresh) }})
	return &resealed{Reader: io.MultiReader(pieces...), plain: plain}
}

// resealed also closes the reader it reads from.
type resealed struct {
	io.Reader
	plain *OpenReader
}

func (r *resealed) Close() error { return r.plain.Close() }

// partSource reads one part of an object's plaintext. The last part ends only when the object
// itself has ended.
type partSource struct {
	plain io.Reader
	left  int64
	last  bool
}

func (s *partSource) Read(p []byte) (int, error) {
	if s.left == 0 {
		if s.last {
			if err := expectEOF(s.plain); err != nil {
				return 0, fmt.Errorf("envelope: behind the last part: %w", err)
			}
		}
		return 0, io.EOF
	}
	n, err := s.plain.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// lateTrailer seals the trailer once the parts before it have been read.
type lateTrailer struct {
	seal func() ([]byte, error)
	out  []byte
}

func (l *lateTrailer) Read(p []byte) (int, error) {
	if l.seal != nil {
		out, err := l.seal()
		if err != nil {
			return 0, err
		}
		l.out, l.seal = out, nil
	}
	if len(l.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

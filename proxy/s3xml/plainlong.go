package s3xml

import (
	"bytes"
	"io"
	"net/url"
	"strings"
)

// LongDocument is a document that a store may send with more entries than S3 would. plain sees a
// window of it at a time.
type LongDocument interface {
	// Asked says what was asked of the store. No more than that is kept.
	Asked(url.Values)
	// readRoot reads the start of the document and returns the root's name. Where that is not plain
	// it leaves the receiver as it was.
	readRoot(p *plain) string
	// readChild reads the child of the root whose start tag was read. Where the child is not plain it
	// adds no entry. Entries have texts of their own: one of the document would keep its window.
	readChild(p *plain)
}

// longWindow is the size of a window in bytes. While a document is read, a few of them are held: what is
// looked at, the buffer that it is read into, and those with the root, the last owner and the
// document's own texts.
const longWindow = 128 << 10

// decodeLong reads a document by plain. The first child that is not plain, or does not end within the
// window, goes to encoding/xml with all that follows, behind the root's start tag: nothing else of
// what came before has a meaning there.
func decodeLong(r io.Reader, doc LongDocument, size int) error {
	b := documents.Get().(*bytes.Buffer)
	defer func() {
		b.Reset()
		documents.Put(b)
	}()
	in := &window{from: r, size: size, buffer: b}
	p := &plain{}
	in.fill(p)
	name, root, at := doc.readRoot(p), "", 0
	if !p.refused {
		root, at = p.doc[:p.at], p.at
	}
	for p.more(name) {
		if doc.readChild(p); !p.refused {
			in.fill(p)
			at = p.at
		}
	}
	if !p.refused {
		return nil
	}
	done := in.bytes - len(p.doc[at:]) - len(root)
	rest := io.MultiReader(strings.NewReader(root), strings.NewReader(p.doc[at:]), in.from)
	return decoder(rest, MaxLong-done, MaxLong).Decode(doc)
}

// window is where a long document is read.
type window struct {
	from   io.Reader
	size   int
	buffer *bytes.Buffer
	bytes  int // read of the document
}

// fill moves the window on, to what has not been read of it and what comes then, if that may end
// within an entry. An entry of S3's is shorter than an eighth of a window.
func (w *window) fill(p *plain) {
	if len(p.rest()) >= w.size/8 {
		return
	}
	w.buffer.Reset()
	_, err := w.buffer.ReadFrom(io.LimitReader(w.from, int64(min(w.size, MaxLong-w.bytes))))
	if err != nil {
		w.from = failing{err}
	}
	w.bytes += w.buffer.Len()
	var next strings.Builder
	next.Grow(len(p.rest()) + w.buffer.Len())
	next.WriteString(p.rest())
	next.Write(w.buffer.Bytes())
	p.doc, p.at, p.elements = next.String(), 0, 0 // a long document may have any number of elements
}

package s3xml

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// plainDocument is a document that is read by plain where it can be.
type plainDocument interface {
	// readPlain reads it. Where the document is not plain it leaves the receiver as it was.
	readPlain(p *plain) bool
}

var documents = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const (
	// maxPlain is the largest document in bytes that is read whole to see whether it is plain: a page
	// of 1,000 keys of 1 KiB is smaller. A larger one goes to encoding/xml while it comes.
	maxPlain = 2 << 20
	// maxPooled is how large a buffer is kept, in bytes.
	maxPooled = 1 << 20
)

// decodePlain reads a document as Decode does.
func decodePlain(r io.Reader, doc plainDocument) error {
	b := documents.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= maxPooled {
			b.Reset()
			documents.Put(b)
		}
	}()
	_, err := b.ReadFrom(io.LimitReader(r, maxPlain+1))
	if err == nil && b.Len() <= maxPlain && doc.readPlain(&plain{doc: b.String()}) {
		return nil
	}
	rest := r
	if err != nil {
		rest = failing{err}
	}
	return NewDecoder(io.MultiReader(bytes.NewReader(b.Bytes()), rest)).Decode(doc)
}

// failing ends with the error that a body ended with.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// keep replaces a document by the one that was read, if that was plain.
func keep[T any](p *plain, doc *T, read T) bool {
	if p.refused {
		return false
	}
	*doc = read
	return true
}

// leastEntry is about the shortest entry that stores write, in bytes.
const leastEntry = 150

// entry adds an entry to a list that may have at most so many, for the element whose start tag was
// read.
func entry[T any](p *plain, list *[]T, most int) *T {
	if len(*list) >= most {
		p.refuse()
		return new(T)
	}
	if *list == nil {
		*list = make([]T, 0, min(most, 1+len(p.rest())/leastEntry))
	}
	*list = append(*list, *new(T))
	return &(*list)[len(*list)-1]
}

// ownerSeen is an owner as it was written.
type ownerSeen struct {
	text     string // between its tags
	owner    *Owner
	elements int
}

// readOwner reads the owner of an entry. Most are written as the one before, and are the same. The
// owner's texts are its own, because it may be that of entries in later windows of a long document.
func (p *plain) readOwner(to **Owner) {
	if *to != nil {
		p.refuse() // a second one changes the first
		return
	}
	begin, of := p.at, p.name()
	if seen := p.owner; seen.owner != nil && !p.empty && p.elements+seen.elements <= MaxElements {
		if p.pass(seen.text) && p.pass("</"+of+">") {
			*to = seen.owner
			p.elements += seen.elements
			return
		}
		p.at = begin
	}
	o, elements, empty := &Owner{}, p.elements, p.empty
	for p.more(of) {
		switch p.name() {
		case "ID":
			o.ID = strings.Clone(p.text())
		case "DisplayName":
			o.DisplayName = strings.Clone(p.text())
		default:
			p.skip()
		}
	}
	if *to = o; !p.refused && !empty {
		p.owner = ownerSeen{p.doc[begin : p.at-len("</>")-len(of)], o, p.elements - elements}
	}
}

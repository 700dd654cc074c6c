package s3xml

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// plainWriter is a document that is written without encoding/xml.
type plainWriter interface {
	// size is about the document's length in bytes.
	size() int
	write(w *writer)
}

// Marshal writes a document as encoding/xml does.
func Marshal(doc any) ([]byte, error) { return MarshalIn(nil, doc) }

// MarshalIn is Marshal, in this memory if that is enough.
func MarshalIn(memory []byte, doc any) ([]byte, error) {
	d, ok := doc.(plainWriter)
	if !ok {
		out, err := xml.Marshal(doc)
		return append(memory[:0], out...), err
	}
	w := &writer{out: slices.Grow(memory[:0], d.size())}
	d.write(w)
	return w.out, w.err
}

// writer appends elements as encoding/xml writes them.
type writer struct {
	out []byte
	err error
}

func (w *writer) start(name string) { w.out = append(append(append(w.out, '<'), name...), '>') }
func (w *writer) end(name string)   { w.out = append(append(append(w.out, "</"...), name...), '>') }

// root writes the start tag of a document.
func (w *writer) root(name, xmlns string) {
	w.out = append(append(append(w.out, '<'), name...), ` xmlns="`...)
	w.escaped(xmlns)
	w.out = append(w.out, `">`...)
}

// optionalRoot is root for a document whose namespace may be absent.
func (w *writer) optionalRoot(name, xmlns string) {
	if xmlns == "" {
		w.start(name)
	} else {
		w.root(name, xmlns)
	}
}

func (w *writer) text(name, value string) {
	w.start(name)
	w.escaped(value)
	w.end(name)
}

func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

// key writes a Text.
func (w *writer) key(name string, value Text) {
	w.start(name)
	w.out = appendText(w.out, string(value))
	w.end(name)
}

func (w *writer) optionalKey(name string, value Text) {
	if value != "" {
		w.key(name, value)
	}
}

func (w *writer) point(name string, value *Text) {
	if value != nil {
		w.key(name, *value)
	}
}

func (w *writer) number(name string, n int64) {
	w.start(name)
	w.out = strconv.AppendInt(w.out, n, 10)
	w.end(name)
}

func (w *writer) boolean(name string, value bool) {
	w.start(name)
	w.out = strconv.AppendBool(w.out, value)
	w.end(name)
}

func (w *writer) time(name string, t time.Time) {
	w.start(name)
	if out, err := t.AppendText(w.out); err != nil {
		w.err = err
	} else {
		w.out = out
	}
	w.end(name)
}

func (w *writer) owner(name string, o *Owner) {
	if o != nil {
		w.start(name)
		w.text("ID", o.ID)
		w.optional("DisplayName", o.DisplayName)
		w.end(name)
	}
}

func (w *writer) restoreStatus(r *RestoreStatus) {
	if r != nil {
		w.start("RestoreStatus")
		w.text("IsRestoreInProgress", r.IsRestoreInProgress)
		w.optional("RestoreExpiryDate", r.RestoreExpiryDate)
		w.end("RestoreStatus")
	}
}

func (w *writer) listedChecksum(c *ListedChecksum) {
	for _, algorithm := range c.ChecksumAlgorithm {
		w.text("ChecksumAlgorithm", algorithm)
	}
	w.optional("ChecksumType", c.ChecksumType)
}

func (w *writer) checksums(c *Checksums) {
	for i, value := range c.all() {
		w.optional(checksumNames[i], *value)
	}
}

func (w *writer) commonPrefixes(all []CommonPrefix) {
	for _, p := range all {
		w.start("CommonPrefixes")
		w.key("Prefix", p.Prefix)
		w.end("CommonPrefixes")
	}
}

// unescaped are the bytes that both ways of writing a text leave as they are.
var unescaped = func() (all [256]bool) {
	for c := range utf8.RuneSelf {
		all[c] = c >= ' ' && c <= '~' && !strings.ContainsRune(`&<>"'`, rune(c))
	}
	return all
}()

// escaped is for what is no Text.
func (w *writer) escaped(s string) {
	for s != "" {
		n := 0
		for n < len(s) && unescaped[s[n]] {
			n++
		}
		w.out = append(w.out, s[:n]...)
		if s = s[n:]; s == "" {
			return
		}
		if s[0] != '"' {
			var rest strings.Builder
			xml.EscapeText(&rest, []byte(s)) // a Builder takes everything
			w.out = append(w.out, rest.String()...)
			return
		}
		w.out = append(w.out, "&#34;"...)
		s = s[1:]
	}
}

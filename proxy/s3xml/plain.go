package s3xml

import (
	"encoding/xml"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// plain reads the XML that stores and clients really write: elements of plain names without
// attributes, text with references, white space between elements. encoding/xml takes 13 ms for a
// listing of 1,000 objects, this a fiftieth of that. What is not plain it refuses, and the document
// goes to encoding/xml: whatever plain accepts it reads exactly as that does (FuzzListObjects and
// others).
//
// Texts are parts of the document, and take no memory of their own. After a refusal there is nothing
// more to read, so that only the end of a document has to be asked whether it was plain.
type plain struct {
	doc      string
	at       int    // up to where it has been read
	space    string // the root's namespace
	tag      [2]int // where the name in the start tag is that was read last
	empty    bool   // it was `<name/>`, and nothing has been read of the element yet
	refused  bool
	elements int
	resolved strings.Builder // of texts with references
	owner    ownerSeen
}

// name is the name of the element whose start tag was read last.
func (p *plain) name() string { return p.doc[p.tag[0]:p.tag[1]] }

func (p *plain) rest() string { return p.doc[p.at:] }

// pass reads what comes next, if it is this.
func (p *plain) pass(what string) bool {
	if !strings.HasPrefix(p.doc[p.at:], what) {
		return false
	}
	p.at += len(what)
	return true
}

// maxPlainText leaves longer texts, whose tokens might pass a bound, to the other decoder.
const maxPlainText = maxToken - 1<<10

func (p *plain) refuse() { p.refused, p.empty = true, false }

// root reads the start of a document up to the end of the root's start tag. A root may name
// its namespace, and nothing else. xmlns is set only where it does.
func (p *plain) root(name string, xmlName *xml.Name, xmlns *string) {
	p.anyRoot(xmlns)
	if p.name() != name {
		p.refuse()
	}
	*xmlName = xml.Name{Space: p.space, Local: name}
}

// anyRoot is root for a document that may have several names.
func (p *plain) anyRoot(xmlns *string) {
	p.pass(`<?xml version="1.0" encoding="UTF-8"?>`)
	p.skipSpace()
	switch {
	case !p.startName():
	case p.pass(` xmlns="`):
		length := max(strings.Index(p.rest(), `">`), 0)
		if p.space = p.rest()[:length]; !isPlainSpace(p.space) {
			p.refuse()
		}
		if p.at += length; !p.pass(`">`) {
			p.refuse()
		}
		*xmlns = p.space
	case !p.pass(">"):
		p.refuse()
	}
}

func isPlainSpace(namespace string) bool {
	for i := range len(namespace) {
		if c := namespace[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '&' {
			return false
		}
	}
	return true
}

func (p *plain) skipSpace() {
	for p.at < len(p.doc) && (p.doc[p.at] == ' ' || p.doc[p.at] == '\n' || p.doc[p.at] == '\t') {
		p.at++
	}
}

// more reads the start tag of the next child of an element, or the element's end tag: then there is
// none. Call it behind the start tag of the element, and for each child that it finds read the child
// whole.
func (p *plain) more(of string) bool {
	if p.empty || p.refused {
		p.empty = false
		return false
	}
	p.skipSpace()
	if strings.HasPrefix(p.rest(), "</") {
		p.end(of)
		return false
	}
	if !p.startName() {
		return false
	}
	p.empty = p.pass("/")
	if !p.pass(">") {
		p.refuse()
	}
	return !p.refused
}

// startName reads `<` and the name of a start tag.
func (p *plain) startName() bool {
	if p.elements++; !p.pass("<") || p.elements > MaxElements {
		p.refuse()
		return false
	}
	begin := p.at
	for p.at < len(p.doc) && isNameByte(p.doc[p.at]) {
		p.at++
	}
	if p.tag = [2]int{begin, p.at}; p.at == begin || p.doc[begin] <= '9' { // no name begins with a digit
		p.refuse()
	}
	return !p.refused
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// end reads the end tag of an element.
func (p *plain) end(name string) {
	if !p.pass("</") || !p.pass(name) || !p.pass(">") {
		p.refuse()
	}
}

// ordinary are the bytes that mean themselves in a text.
var ordinary = func() (all [256]bool) {
	for c := range utf8.RuneSelf {
		all[c] = (c >= ' ' || c == '\t' || c == '\n') && c != '&' && c != '<' && c != ']'
	}
	return all
}()

// text reads what is left of an element that has only text.
func (p *plain) text() (text string) {
	if p.empty || p.refused {
		p.empty = false
		return ""
	}
	begin := p.at
	for p.at < len(p.doc) && ordinary[p.doc[p.at]] {
		p.at++
	}
	if text = p.doc[begin:p.at]; len(text) > maxPlainText {
		p.refuse()
	} else if !strings.HasPrefix(p.rest(), "<") {
		p.at = begin
		text = p.resolve()
	}
	p.end(p.name())
	return text
}

// skip reads an element that the document's reader does not know, if it has only text.
func (p *plain) skip() { p.text() }

// resolve reads a text with references. Characters that encoding/xml refuses or rewrites are not
// plain.
func (p *plain) resolve() string {
	length := strings.IndexByte(p.rest(), '<')
	if length < 0 || length > maxPlainText {
		p.refuse()
		return ""
	}
	text := p.rest()[:length]
	p.at += length
	if free := p.resolved.Cap() - p.resolved.Len(); free < length { // a reference is longer than its character
		p.resolved.Reset()
		p.resolved.Grow(max(length, 16<<10))
	}
	begin := p.resolved.Len()
	for text != "" {
		n := 0
		for n < len(text) && ordinary[text[n]] {
			n++
		}
		p.resolved.WriteString(text[:n])
		if text = text[n:]; text == "" {
			break
		}
		r, size := character(text)
		if size == 0 {
			p.refuse()
			return ""
		}
		p.resolved.WriteRune(r)
		text = text[size:]
	}
	return p.resolved.String()[begin:]
}

// character reads the character or reference that text begins with; size is 0 if that is not plain.
func character(text string) (r rune, size int) {
	r, size = utf8.DecodeRuneInString(text)
	switch {
	case r == '&':
		r, size = referenced(text)
	case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\n', r == ']' && strings.HasPrefix(text, "]]>"):
		return 0, 0
	}
	if r == 0xFFFE || r == 0xFFFF {
		return 0, 0
	}
	return r, size
}

// longestReference is `&#x10FFFF;` in bytes.
const longestReference = 10

// referenced reads the reference that text begins with; size is 0 if that is not plain.
func referenced(text string) (r rune, size int) {
	end := strings.IndexByte(text[:min(len(text), longestReference)], ';')
	if end < 0 {
		return 0, 0
	}
	switch name := text[1:end]; name {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "quot", "#34":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	default:
		if len(name) < 2 || name[0] != '#' {
			return 0, 0
		}
		digits, base := name[1:], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		if err != nil || n < ' ' || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return 0, 0
		}
		return rune(n), end + 1
	}
}

// number reads an element that has decimal digits and nothing else.
func (p *plain) number() (n int64) {
	text := p.text()
	if text == "" || len(text) > 18 {
		p.refuse()
		return 0
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			p.refuse()
			return 0
		}
		n = n*10 + int64(text[i]-'0')
	}
	return n
}

// boolean reads an element that is true or false.
func (p *plain) boolean() bool {
	text := p.text()
	if text != "true" && text != "false" {
		p.refuse()
	}
	return text == "true"
}

// time reads an element with a time.
func (p *plain) time() (t time.Time) {
	if err := t.UnmarshalText([]byte(p.text())); err != nil {
		p.refuse()
	}
	return t
}

// point reads an element that may be absent.
func (p *plain) point() *Text {
	t := Text(p.text())
	return &t
}

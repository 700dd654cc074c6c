package s3xml

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// plain reads the XML that stores really write: elements of plain names without attributes, text
// with references, white space between elements. encoding/xml takes 13 ms for a listing of 1,000
// objects, this half of one. What is not plain it refuses, and the document goes to encoding/xml:
// whatever plain accepts it reads exactly as that does (FuzzListObjects).
type plain struct {
	doc      []byte
	elements int
	scratch  []byte // of text with references
}

// maxPlainText leaves longer texts, whose tokens might pass a bound, to the other decoder.
const maxPlainText = maxToken - 1<<10

// root reads the start of a document up to the end of the root's start tag. A root may name
// its namespace, and nothing else.
func (p *plain) root(name string) (namespace string, named, ok bool) {
	p.doc = bytes.TrimPrefix(p.doc, []byte(`<?xml version="1.0" encoding="UTF-8"?>`))
	p.space()
	rest, ok := bytes.CutPrefix(p.doc, []byte("<"+name))
	if !ok {
		return "", false, false
	}
	p.elements++
	if p.doc, ok = bytes.CutPrefix(rest, []byte(">")); ok {
		return "", false, true
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(` xmlns="`)); !ok {
		return "", false, false
	}
	value, rest, ok := bytes.Cut(rest, []byte(`">`))
	for _, c := range value {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '&' {
			return "", false, false
		}
	}
	p.doc = rest
	return string(value), true, ok
}

func (p *plain) space() {
	i := 0
	for i < len(p.doc) && (p.doc[i] == ' ' || p.doc[i] == '\n' || p.doc[i] == '\t') {
		i++
	}
	p.doc = p.doc[i:]
}

// children has visit read each child of an element behind its start tag; empty tells `<name/>`, of
// which there is nothing left to read. It reads the end tag of the element.
func (p *plain) children(of string, visit func(name string, empty bool) bool) bool {
	for {
		p.space()
		if rest, end := bytes.CutPrefix(p.doc, []byte("</")); end {
			return p.end(rest, of)
		}
		name, empty, ok := p.start()
		if !ok || !visit(name, empty) {
			return false
		}
	}
}

// start reads a start tag.
func (p *plain) start() (name string, empty, ok bool) {
	if p.elements++; len(p.doc) == 0 || p.doc[0] != '<' || p.elements > MaxElements {
		return "", false, false
	}
	i := 1
	for i < len(p.doc) && isNameByte(p.doc[i]) {
		i++
	}
	raw := p.doc[1:i]
	rest := p.doc[i:]
	if empty = bytes.HasPrefix(rest, []byte("/")); empty {
		rest = rest[1:]
	}
	if p.doc, ok = bytes.CutPrefix(rest, []byte(">")); !ok {
		return "", false, false
	}
	name, ok = plainNames[string(raw)]
	return name, empty, ok
}

// plainNames are those that plain documents have, so that a name takes no memory.
var plainNames = func() map[string]string {
	all := map[string]string{}
	for _, name := range []string{
		"Name", "Prefix", "Marker", "NextMarker", "StartAfter", "ContinuationToken", "NextContinuationToken", "KeyCount", "MaxKeys", "Delimiter",
		"EncodingType", "IsTruncated", "Contents", "CommonPrefixes", "Key", "LastModified", "ETag", "Size", "StorageClass", "ChecksumType",
		"ChecksumAlgorithm", "Owner", "ID", "DisplayName",
	} {
		all[name] = name
	}
	return all
}()

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// end reads what follows `</`.
func (p *plain) end(rest []byte, name string) (ok bool) {
	if len(rest) <= len(name) || string(rest[:len(name)]) != name || rest[len(name)] != '>' {
		return false
	}
	p.doc = rest[len(name)+1:]
	return true
}

// text reads the text of an element and its end tag. It is valid until the next call.
func (p *plain) text(name string, empty bool) (text []byte, ok bool) {
	if empty {
		return nil, true
	}
	length := bytes.IndexByte(p.doc, '<')
	if length < 0 || length > maxPlainText {
		return nil, false
	}
	text = p.doc[:length]
	rest, ok := bytes.CutPrefix(p.doc[length:], []byte("</"))
	if !ok || !p.end(rest, name) {
		return nil, false
	}
	return p.unescaped(text)
}

// unescaped resolves references. Characters that encoding/xml refuses or rewrites are not plain.
func (p *plain) unescaped(text []byte) ([]byte, bool) {
	simple := true
	for _, c := range text {
		if c < ' ' && c != '\t' && c != '\n' || c == '&' || c == ']' || c >= utf8.RuneSelf {
			simple = false
			break
		}
	}
	if simple {
		return text, true
	}
	p.scratch = p.scratch[:0]
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '&':
			if r, size = resolve(text); size == 0 {
				return nil, false
			}
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\n', r == ']' && bytes.HasPrefix(text, []byte("]]>")):
			return nil, false
		}
		if r == 0xFFFE || r == 0xFFFF {
			return nil, false
		}
		p.scratch = utf8.AppendRune(p.scratch, r)
		text = text[size:]
	}
	return p.scratch, true
}

// longestReference is `&#x10FFFF;` in bytes.
const longestReference = 10

var named = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// resolve reads the reference that text begins with; size is 0 if that is not plain.
func resolve(text []byte) (r rune, size int) {
	end := bytes.IndexByte(text[:min(len(text), longestReference)], ';')
	if end < 0 {
		return 0, 0
	}
	name := string(text[1:end])
	if r, ok := named[name]; ok {
		return r, end + 1
	}
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

// number reads an element that has decimal digits and nothing else.
func (p *plain) number(name string, empty bool) (n int64, ok bool) {
	text, ok := p.text(name, empty)
	if !ok || len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// boolean reads an element that is true or false.
func (p *plain) boolean(name string, empty bool) (value, ok bool) {
	text, ok := p.text(name, empty)
	return string(text) == "true", ok && (string(text) == "true" || string(text) == "false")
}

// set reads an element into a string. Where it is what the entry before had, no memory is taken.
func (p *plain) set(to *string, before, name string, empty bool) bool {
	text, ok := p.text(name, empty)
	if string(text) == before {
		*to = before
	} else {
		*to = string(text)
	}
	return ok
}

// point reads an element that may be absent.
func (p *plain) point(to **Text, name string, empty bool) bool {
	text, ok := p.text(name, empty)
	value := Text(text)
	*to = &value
	return ok
}

func (p *plain) count(name string, empty bool) (int, bool) {
	n, ok := p.number(name, empty)
	return int(n), ok
}

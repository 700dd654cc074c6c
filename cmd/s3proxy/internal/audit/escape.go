package audit

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
)

// Escaping gives a writer for lines of JSON, one a call, whose text no terminal obeys: control
// characters beyond ASCII and those that turn the direction of text are escaped. What a reader of
// JSON gets stays the same.
func Escaping(w io.Writer) io.Writer { return escaping{w} }

type escaping struct{ to io.Writer }

func (e escaping) Write(line []byte) (int, error) {
	if n, err := e.to.Write(escape(line)); err != nil {
		return min(n, len(line)), err
	}
	return len(line), nil
}

// escape replaces what is not printable, which encoders of JSON do below U+007F.
func escape(line []byte) []byte {
	hidden := func(r rune) bool { return r >= unicode.MaxASCII && !unicode.IsPrint(r) }
	if !bytes.ContainsFunc(line, hidden) {
		return line
	}
	var out bytes.Buffer
	for _, r := range string(line) {
		if !hidden(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.Bytes()
}

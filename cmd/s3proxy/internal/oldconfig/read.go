package oldconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// field is how one field is read.
type field struct {
	name string
	read func(r *reader, path string) error
}

// reader reads JSON token by token, and knows where it is.
type reader struct {
	raw     []byte
	decoder *json.Decoder
	unknown []string // fields that the older program does not have, with their places
}

func newReader(raw []byte) *reader {
	r := &reader{raw: raw, decoder: json.NewDecoder(bytes.NewReader(raw))}
	r.decoder.UseNumber()
	return r
}

// errSyntax is said without the character that was found, which may be of a secret.
var errSyntax = errors.New("this is not JSON as the older s3proxy reads it")

// at adds the place of the last token to an error.
func (r *reader) at(err error) error { return fmt.Errorf("%s: %w", r.place(), err) }

// place is the line and column behind the last token, from 1.
func (r *reader) place() string {
	before := r.raw[:min(int(r.decoder.InputOffset()), len(r.raw))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("line %d, column %d", line, len(before)-bytes.LastIndexByte(before, '\n'))
}

func (r *reader) token() (json.Token, error) {
	token, err := r.decoder.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, r.at(fmt.Errorf("%w: it ends too early", errSyntax))
	}
	if err != nil {
		return nil, r.at(errSyntax)
	}
	return token, nil
}

// end wants nothing behind the value.
func (r *reader) end() error {
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		return r.at(errors.New("there is more behind the configuration"))
	}
	return nil
}

// object calls member for each name in an object; the value is member's to read. Names that are given
// twice are refused: which one counts would be a matter of luck.
func (r *reader) object(path string, member func(name string) error) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return r.at(fmt.Errorf("%s must be an object, {...}", shownPath(path)))
	}
	seen := map[string]bool{}
	for r.decoder.More() {
		token, err := r.token()
		if err != nil {
			return err
		}
		name, isName := token.(string)
		if !isName {
			return r.at(errSyntax)
		}
		if seen[name] {
			return r.at(fmt.Errorf("%s is given twice", join(path, name)))
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	_, err = r.token()
	return err
}

// fields reads an object of known fields. Like the older program, it does not tell upper case from
// lower; unlike it, it notes fields that are not known.
func (r *reader) fields(path string, known []field) error {
	given := map[string]bool{}
	return r.object(path, func(name string) error {
		for _, f := range known {
			if !strings.EqualFold(f.name, name) {
				continue
			}
			if given[f.name] {
				return r.at(fmt.Errorf("%s is given twice", join(path, f.name)))
			}
			given[f.name] = true
			return f.read(r, join(path, f.name))
		}
		r.unknown = append(r.unknown, fmt.Sprintf("%s at %s%s", join(path, name), r.place(), nearest(name, known)))
		return r.skip()
	})
}

// nearest names the field that may be meant.
func nearest(name string, known []field) string {
	for _, f := range known {
		same := 0
		for same < len(name) && same < len(f.name) && strings.EqualFold(name[same:same+1], f.name[same:same+1]) {
			same++
		}
		if 2*same >= len(f.name) {
			return " (did you mean " + f.name + "?)"
		}
	}
	return ""
}

// skip reads a value and forgets it.
func (r *reader) skip() error {
	for depth := 0; ; {
		token, err := r.token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// scalar reads a value that is none of several; nil for null, which the older program took for a
// field that is not given.
func (r *reader) scalar(path, kind string) (json.Token, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	if _, several := token.(json.Delim); several {
		return nil, r.at(fmt.Errorf("%s must be %s", path, kind))
	}
	return token, nil
}

func text(into *string) func(*reader, string) error {
	return func(r *reader, path string) error {
		const kind = `text, "..."`
		token, err := r.scalar(path, kind)
		if err != nil || token == nil {
			return err
		}
		value, is := token.(string)
		if !is {
			return r.at(fmt.Errorf("%s must be %s", path, kind))
		}
		*into = value
		return nil
	}
}

func yesNo(into *bool) func(*reader, string) error {
	return func(r *reader, path string) error {
		const kind = "true or false"
		token, err := r.scalar(path, kind)
		if err != nil || token == nil {
			return err
		}
		value, is := token.(bool)
		if !is {
			return r.at(fmt.Errorf("%s must be %s", path, kind))
		}
		*into = value
		return nil
	}
}

// number reads a whole number of so many bits.
func number(into *int64, bits int, negative bool) func(*reader, string) error {
	return func(r *reader, path string) error {
		const kind = "a whole number"
		token, err := r.scalar(path, kind)
		if err != nil || token == nil {
			return err
		}
		digits, is := token.(json.Number)
		value, err := strconv.ParseInt(digits.String(), 10, 64)
		if !is || err != nil || value < 0 && !negative || value >= 1<<bits {
			return r.at(fmt.Errorf("%s must be %s below %d", path, kind, int64(1)<<bits))
		}
		*into = value
		return nil
	}
}

// join is the path of a name below another. A name may have any letters, and any length.
func join(path, name string) string {
	const shown = 64
	if len(name) > shown {
		name = name[:shown] + "..."
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r) {
			name = strconv.QuoteToASCII(name)
			break
		}
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func shownPath(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

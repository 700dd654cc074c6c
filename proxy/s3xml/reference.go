package s3xml

import "unicode/utf16"

// reference finds character references, such as `&#xD800;`, in a document's bytes. It does not
// recognise comments and CDATA sections, and treats references inside them alike.
type reference struct {
	at    int // bytes of `&#` seen so far; 2 inside a number
	base  rune
	value rune
}

// surrogate reports whether c ends a reference to a surrogate.
func (r *reference) surrogate(c byte) bool {
	switch {
	case c == '&':
		*r = reference{at: 1}
	case r.at == 1 && c == '#':
		*r = reference{at: 2, base: 10}
	case r.at < 2:
		r.at = 0
	case c == 'x' && r.base == 10 && r.value == 0:
		r.base = 16
	case c == ';':
		r.at = 0
		return utf16.IsSurrogate(r.value)
	default:
		d := digit(c)
		if d >= r.base {
			r.at = 0
			return false
		}
		r.value = min(r.value*r.base+d, 0x10FFFF+1) // beyond that there are no characters
	}
	return false
}

// digit is the value of c as a digit; 16 if it is none.
func digit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return 16
}

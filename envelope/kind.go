package envelope

// Kind says how an object was written. It is part of all associated data, so that nothing written
// as one kind opens as another.
type Kind uint8

// The kinds of format 1.
const (
	KindSingle    Kind = 1 // one PUT: one part, number 0
	KindMultipart Kind = 2 // a multipart upload
	KindEmpty     Kind = 3 // a zero-byte object whose key ends in "/": no stored bytes at all
)

// String is the kind's name in the metadata and in the DEK's context.
func (k Kind) String() string {
	switch k {
	case KindSingle:
		return "single"
	case KindMultipart:
		return "multipart"
	case KindEmpty:
		return "empty"
	}
	return "unknown"
}

func parseKind(s string) (Kind, bool) {
	for k := KindSingle; k <= KindEmpty; k++ {
		if s == k.String() {
			return k, true
		}
	}
	return 0, false
}

// sealedAAD is the associated data of everything sealed except segments; tag is one of the letters
// below. A segment's associated data has no such magic and a different length.
func sealedAAD(k Kind, tag byte) []byte {
	return append(make([]byte, 0, 32), 'S', '3', 'P', 'X', Format, byte(k), tag)
}

const (
	tagTable   = 'T'
	tagSummary = 'S'
	tagFacts   = 'F'
	tagRecord  = 'R'
	tagUpload  = 'U'
)

package s3xml

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// Marshal writes a document as encoding/xml does.
func Marshal(doc any) ([]byte, error) {
	l, ok := doc.(*ListObjects)
	if !ok {
		return xml.Marshal(doc)
	}
	w := &writer{out: make([]byte, 0, 512+len(l.Contents)*384)}
	l.write(w)
	return w.out, nil
}

func (l *ListObjects) write(w *writer) {
	w.out = append(w.out, `<ListBucketResult xmlns="`...)
	w.escaped(l.Xmlns)
	w.out = append(w.out, `">`...)
	w.text("Name", l.Name)
	w.point("Prefix", l.Prefix)
	w.point("Marker", l.Marker)
	w.point("NextMarker", l.NextMarker)
	w.point("StartAfter", l.StartAfter)
	w.point("ContinuationToken", l.ContinuationToken)
	w.point("NextContinuationToken", l.NextContinuationToken)
	if l.KeyCount != nil {
		w.number("KeyCount", int64(*l.KeyCount))
	}
	w.number("MaxKeys", int64(l.MaxKeys))
	w.point("Delimiter", l.Delimiter)
	w.optional("EncodingType", l.EncodingType)
	w.boolean("IsTruncated", l.IsTruncated)
	for i := range l.Contents {
		l.Contents[i].write(w)
	}
	for _, p := range l.CommonPrefixes {
		w.start("CommonPrefixes")
		w.point("Prefix", &p.Prefix)
		w.end("CommonPrefixes")
	}
	w.end("ListBucketResult")
}

func (o *ListedObject) write(w *writer) {
	w.start("Contents")
	w.point("Key", &o.Key)
	w.text("LastModified", o.LastModified)
	w.text("ETag", o.ETag)
	w.number("Size", o.Size)
	for _, algorithm := range o.ChecksumAlgorithm {
		w.text("ChecksumAlgorithm", algorithm)
	}
	w.optional("ChecksumType", o.ChecksumType)
	w.optional("StorageClass", o.StorageClass)
	if o.Owner != nil {
		w.start("Owner")
		w.text("ID", o.Owner.ID)
		w.optional("DisplayName", o.Owner.DisplayName)
		w.end("Owner")
	}
	if r := o.RestoreStatus; r != nil {
		w.start("RestoreStatus")
		w.text("IsRestoreInProgress", r.IsRestoreInProgress)
		w.optional("RestoreExpiryDate", r.RestoreExpiryDate)
		w.end("RestoreStatus")
	}
	w.end("Contents")
}

// writer appends elements as encoding/xml writes them.
type writer struct{ out []byte }

func (w *writer) start(name string) { w.out = append(append(append(w.out, '<'), name...), '>') }
func (w *writer) end(name string)   { w.out = append(append(append(w.out, "</"...), name...), '>') }

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

func (w *writer) point(name string, value *Text) {
	if value != nil {
		w.start(name)
		w.out = appendText(w.out, string(*value))
		w.end(name)
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

// escaped is for what is no Text.
func (w *writer) escaped(s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			w.out = append(w.out, "&#34;"...)
		case c < ' ' || c > '~' || c == '&' || c == '<' || c == '>' || c == '\'':
			var rest strings.Builder
			xml.EscapeText(&rest, []byte(s[i:])) // a Builder takes everything
			w.out = append(w.out, rest.String()...)
			return
		default:
			w.out = append(w.out, c)
		}
	}
}

package s3xml

import (
	"bytes"
	"encoding/xml"
	"io"
	"sync"
)

// plainDocument is a document that is read by plain where it can be.
type plainDocument interface {
	// readPlain reads it from a whole document. Where that is not plain it leaves the receiver as it
	// was.
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
	if err == nil && b.Len() <= maxPlain && doc.readPlain(&plain{doc: b.Bytes()}) {
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

// readPlain implements plainDocument.
func (l *ListObjects) readPlain(p *plain) bool {
	const root = "ListBucketResult"
	namespace, _, ok := p.root(root)
	if !ok {
		return false
	}
	fresh := ListObjects{XMLName: xml.Name{Space: namespace, Local: root}, Xmlns: namespace}
	if !p.children(root, func(name string, empty bool) bool { return fresh.readChild(p, name, empty) }) {
		return false
	}
	*l = fresh
	return true
}

func (l *ListObjects) readChild(p *plain, name string, empty bool) (ok bool) {
	switch name {
	case "Contents":
		return len(l.Contents) < MaxEntries && l.readObject(p, empty)
	case "CommonPrefixes":
		return len(l.CommonPrefixes) < MaxEntries && l.readPrefix(p, empty)
	case "Name":
		return p.set(&l.Name, "", name, empty)
	case "Prefix":
		return p.point(&l.Prefix, name, empty)
	case "Marker":
		return p.point(&l.Marker, name, empty)
	case "NextMarker":
		return p.point(&l.NextMarker, name, empty)
	case "StartAfter":
		return p.point(&l.StartAfter, name, empty)
	case "ContinuationToken":
		return p.point(&l.ContinuationToken, name, empty)
	case "NextContinuationToken":
		return p.point(&l.NextContinuationToken, name, empty)
	case "Delimiter":
		return p.point(&l.Delimiter, name, empty)
	case "EncodingType":
		return p.set(&l.EncodingType, "url", name, empty)
	case "IsTruncated":
		l.IsTruncated, ok = p.boolean(name, empty)
		return ok
	case "MaxKeys":
		l.MaxKeys, ok = p.count(name, empty)
		return ok
	case "KeyCount":
		var n int
		n, ok = p.count(name, empty)
		l.KeyCount = &n
		return ok
	}
	return false
}

func (l *ListObjects) readPrefix(p *plain, empty bool) bool {
	l.CommonPrefixes = append(l.CommonPrefixes, CommonPrefix{})
	entry := &l.CommonPrefixes[len(l.CommonPrefixes)-1]
	return empty || p.children("CommonPrefixes", func(name string, empty bool) bool {
		return name == "Prefix" && p.set((*string)(&entry.Prefix), "", name, empty)
	})
}

func (l *ListObjects) readObject(p *plain, empty bool) bool {
	before := &ListedObject{}
	if n := len(l.Contents); n > 0 {
		before = &l.Contents[n-1]
	} else {
		l.Contents = make([]ListedObject, 0, 64)
	}
	l.Contents = append(l.Contents, ListedObject{})
	o := &l.Contents[len(l.Contents)-1]
	return empty || p.children("Contents", func(name string, empty bool) bool { return o.readChild(p, before, name, empty) })
}

// maxAlgorithms is more than S3 has.
const maxAlgorithms = 16

func (o *ListedObject) readChild(p *plain, before *ListedObject, name string, empty bool) (ok bool) {
	switch name {
	case "Key":
		return p.set((*string)(&o.Key), "", name, empty)
	case "LastModified":
		return p.set(&o.LastModified, before.LastModified, name, empty)
	case "ETag":
		return p.set(&o.ETag, "", name, empty)
	case "Size":
		o.Size, ok = p.number(name, empty)
		return ok
	case "StorageClass":
		return p.set(&o.StorageClass, before.StorageClass, name, empty)
	case "ChecksumType":
		return p.set(&o.ChecksumType, before.ChecksumType, name, empty)
	case "ChecksumAlgorithm":
		if len(o.ChecksumAlgorithm) == maxAlgorithms {
			return false
		}
		var algorithm string
		if n := len(before.ChecksumAlgorithm); n > 0 {
			algorithm = before.ChecksumAlgorithm[n-1]
		}
		ok = p.set(&algorithm, algorithm, name, empty)
		o.ChecksumAlgorithm = append(o.ChecksumAlgorithm, algorithm)
		return ok
	case "Owner":
		return o.readOwner(p, before.Owner, empty)
	}
	return false // RestoreStatus and what is new
}

func (o *ListedObject) readOwner(p *plain, before *Owner, empty bool) bool {
	if before == nil {
		before = &Owner{}
	}
	if o.Owner == nil {
		o.Owner = &Owner{}
	}
	return empty || p.children("Owner", func(name string, empty bool) bool {
		switch name {
		case "ID":
			return p.set(&o.Owner.ID, before.ID, name, empty)
		case "DisplayName":
			return p.set(&o.Owner.DisplayName, before.DisplayName, name, empty)
		}
		return false
	})
}

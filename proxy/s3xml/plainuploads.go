package s3xml

import "strings"

// readRoot implements LongDocument.
func (l *ListUploads) readRoot(p *plain) string {
	const root = "ListMultipartUploadsResult"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	keep(p, l, read)
	return root
}

// readChild implements LongDocument.
func (l *ListUploads) readChild(p *plain) {
	switch p.name() {
	case "Upload":
		var u ListedUpload
		if u.readPlain(p); !p.refused {
			l.Uploads.add(u)
		}
	case "CommonPrefixes":
		l.readPrefix(p)
	case "Bucket":
		l.Bucket = p.text()
	case "KeyMarker":
		l.KeyMarker = Text(p.text())
	case "UploadIdMarker":
		l.UploadIDMarker = p.text()
	case "NextKeyMarker":
		l.NextKeyMarker = Text(p.text())
	case "NextUploadIdMarker":
		l.NextUploadIDMarker = p.text()
	case "Prefix":
		l.Prefix = Text(p.text())
	case "Delimiter":
		l.Delimiter = Text(p.text())
	case "MaxUploads":
		l.MaxUploads = int(p.number())
	case "EncodingType":
		l.EncodingType = p.text()
	case "IsTruncated":
		l.IsTruncated = p.boolean()
	default:
		p.skip()
	}
}

func (l *ListUploads) readPrefix(p *plain) {
	var c CommonPrefix
	if c.readPlain(p); len(l.CommonPrefixes) == MaxEntries {
		p.refuse()
	}
	if !p.refused {
		l.CommonPrefixes = append(l.CommonPrefixes, CommonPrefix{Text(strings.Clone(string(c.Prefix)))})
	}
}

func (u *ListedUpload) readPlain(p *plain) {
	for p.more("Upload") {
		switch p.name() {
		case "Key":
			u.Key = Text(p.text())
		case "UploadId":
			u.UploadID = p.text()
		case "Initiator":
			p.readOwner(&u.Initiator)
		case "Owner":
			p.readOwner(&u.Owner)
		case "StorageClass":
			u.StorageClass = p.text()
		case "Initiated":
			u.Initiated = p.text()
		case "ChecksumAlgorithm":
			u.ChecksumAlgorithm = p.text()
		case "ChecksumType":
			u.ChecksumType = p.text()
		default:
			p.skip()
		}
	}
}

// own gives an upload texts that are no part of a document.
func (u *ListedUpload) own() {
	texts := [...]*string{(*string)(&u.Key), &u.UploadID, &u.StorageClass, &u.Initiated, &u.ChecksumAlgorithm, &u.ChecksumType}
	length := 0
	for _, t := range texts {
		length += len(*t)
	}
	var b strings.Builder
	b.Grow(length)
	for _, t := range texts {
		b.WriteString(*t)
	}
	all := b.String()
	for _, t := range texts {
		*t, all = all[:len(*t)], all[len(*t):]
	}
}

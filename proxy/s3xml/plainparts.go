package s3xml

// readPlain implements plainDocument.
func (l *ListParts) readPlain(p *plain) bool {
	const root = "ListPartsResult"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	for p.more(root) {
		read.readChild(p)
	}
	return keep(p, l, read)
}

func (l *ListParts) readChild(p *plain) {
	switch p.name() {
	case "Part":
		entry(p, (*[]ListedPart)(&l.Parts), MaxEntries).readPlain(p)
	case "Bucket":
		l.Bucket = p.text()
	case "Key":
		l.Key = Text(p.text())
	case "UploadId":
		l.UploadID = p.text()
	case "PartNumberMarker":
		l.PartNumberMarker = int(p.number())
	case "NextPartNumberMarker":
		l.NextPartNumberMarker = int(p.number())
	case "MaxParts":
		l.MaxParts = int(p.number())
	case "IsTruncated":
		l.IsTruncated = p.boolean()
	case "Initiator":
		p.readOwner(&l.Initiator)
	case "Owner":
		p.readOwner(&l.Owner)
	case "StorageClass":
		l.StorageClass = p.text()
	case "ChecksumAlgorithm":
		l.ChecksumAlgorithm = p.text()
	case "ChecksumType":
		l.ChecksumType = p.text()
	default:
		p.skip()
	}
}

func (l *ListedPart) readPlain(p *plain) {
	for p.more("Part") {
		switch p.name() {
		case "PartNumber":
			l.PartNumber = int(p.number())
		case "LastModified":
			l.LastModified = p.time()
		case "ETag":
			l.ETag = p.text()
		case "Size":
			l.Size = p.number()
		default:
			l.Checksums.readChild(p)
		}
	}
}

// readChild reads what is left of a part's elements.
func (c *Checksums) readChild(p *plain) {
	for i, name := range checksumNames {
		if name == p.name() {
			*c.all()[i] = p.text()
			return
		}
	}
	p.skip()
}

// readPlain implements plainDocument.
func (l *CompleteUpload) readPlain(p *plain) bool {
	const root = "CompleteMultipartUpload"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	for p.more(root) {
		if p.name() == "Part" {
			entry(p, (*[]CompletedPart)(&read.Parts), maxParts).readPlain(p)
		} else {
			p.skip()
		}
	}
	return keep(p, l, read)
}

func (l *CompletedPart) readPlain(p *plain) {
	content := &struct {
		number PartNumber
		etag   string
	}{}
	for p.more("Part") {
		switch p.name() {
		case "PartNumber":
			content.number = PartNumber(p.number())
			l.PartNumber = &content.number
		case "ETag":
			content.etag = p.text()
			l.ETag = &content.etag
		default:
			l.Checksums.readChild(p)
		}
	}
}

package s3xml

// readPlain implements plainDocument.
func (l *ListObjects) readPlain(p *plain) bool {
	const root = "ListBucketResult"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	for p.more(root) {
		read.readChild(p)
	}
	return keep(p, l, read)
}

func (l *ListObjects) readChild(p *plain) {
	switch p.name() {
	case "Contents":
		entry(p, (*[]ListedObject)(&l.Contents), MaxEntries).readPlain(p)
	case "CommonPrefixes":
		entry(p, (*[]CommonPrefix)(&l.CommonPrefixes), MaxEntries).readPlain(p)
	case "Name":
		l.Name = p.text()
	case "Prefix":
		l.Prefix = p.point()
	case "Marker":
		l.Marker = p.point()
	case "NextMarker":
		l.NextMarker = p.point()
	case "StartAfter":
		l.StartAfter = p.point()
	case "ContinuationToken":
		l.ContinuationToken = p.point()
	case "NextContinuationToken":
		l.NextContinuationToken = p.point()
	case "Delimiter":
		l.Delimiter = p.point()
	case "EncodingType":
		l.EncodingType = p.text()
	case "IsTruncated":
		l.IsTruncated = p.boolean()
	case "MaxKeys":
		l.MaxKeys = int(p.number())
	case "KeyCount":
		n := int(p.number())
		l.KeyCount = &n
	default:
		p.skip()
	}
}

func (c *CommonPrefix) readPlain(p *plain) {
	for p.more("CommonPrefixes") {
		if p.name() == "Prefix" {
			c.Prefix = Text(p.text())
		} else {
			p.skip()
		}
	}
}

func (o *ListedObject) readPlain(p *plain) {
	for p.more("Contents") {
		switch p.name() {
		case "Key":
			o.Key = Text(p.text())
		case "LastModified":
			o.LastModified = p.text()
		case "ETag":
			o.ETag = p.text()
		case "Size":
			o.Size = p.number()
		case "StorageClass":
			o.StorageClass = p.text()
		case "Owner":
			p.readOwner(&o.Owner)
		default:
			o.ListedChecksum.readChild(p)
		}
	}
}

// maxAlgorithms is more than S3 has.
const maxAlgorithms = 16

// readChild reads what is left of an entry's elements.
func (c *ListedChecksum) readChild(p *plain) {
	switch p.name() {
	case "ChecksumType":
		c.ChecksumType = p.text()
	case "ChecksumAlgorithm":
		if len(c.ChecksumAlgorithm) == maxAlgorithms {
			p.refuse()
			return
		}
		c.ChecksumAlgorithm = append(c.ChecksumAlgorithm, p.text())
	case "RestoreStatus":
		p.refuse() // rare
	default:
		p.skip()
	}
}

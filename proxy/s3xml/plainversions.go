package s3xml

// readPlain implements plainDocument.
func (l *ListVersions) readPlain(p *plain) bool {
	const root = "ListVersionsResult"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	for p.more(root) {
		read.readChild(p)
	}
	return keep(p, l, read)
}

func (l *ListVersions) readChild(p *plain) {
	switch p.name() {
	case "Version", "DeleteMarker":
		l.Versions.readPlain(p)
	case "CommonPrefixes":
		entry(p, (*[]CommonPrefix)(&l.CommonPrefixes), MaxEntries).readPlain(p)
	case "Name":
		l.Name = p.text()
	case "Prefix":
		l.Prefix = p.point()
	case "KeyMarker":
		l.KeyMarker = p.point()
	case "VersionIdMarker":
		id := p.text()
		l.VersionIDMarker = &id
	case "NextKeyMarker":
		l.NextKeyMarker = p.point()
	case "NextVersionIdMarker":
		id := p.text()
		l.NextVersionIDMarker = &id
	case "MaxKeys":
		l.MaxKeys = int(p.number())
	case "Delimiter":
		l.Delimiter = p.point()
	case "EncodingType":
		l.EncodingType = p.text()
	case "IsTruncated":
		l.IsTruncated = p.boolean()
	default:
		p.skip()
	}
}

// readPlain reads a version or a delete marker.
func (l *versionList) readPlain(p *plain) {
	v := entry(p, (*[]ListedVersion)(l), MaxEntries)
	v.readPlain(p)
	v.XMLName.Space = ""
	v.complete()
}

// readPlain reads the element whose start tag was read.
func (v *ListedVersion) readPlain(p *plain) {
	v.XMLName.Space, v.XMLName.Local = p.space, p.name()
	of := p.name()
	content := &struct {
		etag string
		size int64
	}{}
	for p.more(of) {
		switch p.name() {
		case "Key":
			v.Key = Text(p.text())
		case "VersionId":
			v.VersionID = p.text()
		case "IsLatest":
			v.IsLatest = p.boolean()
		case "LastModified":
			v.LastModified = p.text()
		case "ETag":
			content.etag = p.text()
			v.ETag = &content.etag
		case "Size":
			content.size = p.number()
			v.Size = &content.size
		case "StorageClass":
			v.StorageClass = p.text()
		case "Owner":
			p.readOwner(&v.Owner)
		default:
			v.ListedChecksum.readChild(p)
		}
	}
}

// readPlain implements plainDocument.
func (v *AnyList) readPlain(p *plain) bool {
	read, xmlns := *v, ""
	p.anyRoot(&xmlns)
	of := p.name()
	for p.more(of) {
		switch p.name() {
		case "EncodingType":
			read.EncodingType = p.text()
		case "Version", "DeleteMarker":
			read.Versions.readPlain(p)
		case "Contents":
			entry(p, (*[]ListedVersion)(&read.Contents), MaxEntries).readPlain(p)
		case "CommonPrefixes":
			new(CommonPrefix).readPlain(p)
		default:
			p.skip()
		}
	}
	return keep(p, v, read)
}

package s3xml

// readPlain implements plainDocument.
func (l *DeleteObjects) readPlain(p *plain) bool {
	const root = "Delete"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	for p.more(root) {
		switch p.name() {
		case "Object":
			entry(p, (*[]ObjectToDelete)(&read.Objects), MaxEntries).readPlain(p)
		case "Quiet":
			read.Quiet = p.boolean()
		default:
			p.skip()
		}
	}
	return keep(p, l, read)
}

func (o *ObjectToDelete) readPlain(p *plain) {
	for p.more("Object") {
		switch p.name() {
		case "Key":
			o.Key = Text(p.text())
		case "VersionId":
			o.VersionID = p.text()
		case "ETag":
			o.ETag = p.text()
		case "LastModifiedTime":
			o.LastModifiedTime = p.text()
		case "Size":
			n := p.number()
			o.Size = &n
		default:
			p.skip()
		}
	}
}

// readPlain implements plainDocument.
func (l *DeleteResult) readPlain(p *plain) bool {
	const root = "DeleteResult"
	read := *l
	p.root(root, &read.XMLName, &read.Xmlns)
	for p.more(root) {
		switch p.name() {
		case "Deleted":
			entry(p, (*[]deletedEntry)(&read.Deleted), MaxEntries).readPlain(p)
		case "Error":
			entry(p, (*[]DeleteError)(&read.Errors), MaxEntries).readPlain(p)
		default:
			p.skip()
		}
	}
	return keep(p, l, read)
}

func (d *deletedEntry) readPlain(p *plain) {
	for p.more("Deleted") {
		switch p.name() {
		case "Key":
			d.Key = Text(p.text())
		case "VersionId":
			d.VersionID = p.text()
		case "DeleteMarker":
			marker := p.boolean()
			d.DeleteMarker = &marker
		case "DeleteMarkerVersionId":
			d.DeleteMarkerVersionID = p.text()
		default:
			p.skip()
		}
	}
}

func (e *DeleteError) readPlain(p *plain) {
	for p.more("Error") {
		switch p.name() {
		case "Key":
			e.Key = Text(p.text())
		case "VersionId":
			e.VersionID = p.text()
		case "Code":
			e.Code = p.text()
		case "Message":
			e.Message = p.text()
		default:
			p.skip()
		}
	}
}

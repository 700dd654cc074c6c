package s3xml

// partSize is about the length of a part with a checksum in a document, in bytes.
const partSize = 256

func (l *ListParts) size() int { return 1024 + len(l.Parts)*partSize }

func (l *ListParts) write(w *writer) {
	w.root("ListPartsResult", l.Xmlns)
	w.text("Bucket", l.Bucket)
	w.key("Key", l.Key)
	w.text("UploadId", l.UploadID)
	w.number("PartNumberMarker", int64(l.PartNumberMarker))
	w.number("NextPartNumberMarker", int64(l.NextPartNumberMarker))
	w.number("MaxParts", int64(l.MaxParts))
	w.boolean("IsTruncated", l.IsTruncated)
	for i := range l.Parts {
		l.Parts[i].write(w)
	}
	w.owner("Initiator", l.Initiator)
	w.owner("Owner", l.Owner)
	w.optional("StorageClass", l.StorageClass)
	w.optional("ChecksumAlgorithm", l.ChecksumAlgorithm)
	w.optional("ChecksumType", l.ChecksumType)
	w.end("ListPartsResult")
}

func (l *ListedPart) write(w *writer) {
	w.start("Part")
	w.number("PartNumber", int64(l.PartNumber))
	w.time("LastModified", l.LastModified)
	w.text("ETag", l.ETag)
	w.number("Size", l.Size)
	w.checksums(&l.Checksums)
	w.end("Part")
}

func (l *CompleteUpload) size() int { return 256 + len(l.Parts)*partSize/2 }

func (l *CompleteUpload) write(w *writer) {
	const root = "CompleteMultipartUpload"
	w.optionalRoot(root, l.Xmlns)
	for i := range l.Parts {
		p := &l.Parts[i]
		w.start("Part")
		if p.PartNumber != nil {
			w.number("PartNumber", int64(*p.PartNumber))
		}
		if p.ETag != nil {
			w.text("ETag", *p.ETag)
		}
		w.checksums(&p.Checksums)
		w.end("Part")
	}
	w.end(root)
}

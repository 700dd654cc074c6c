package s3xml

// uploadSize is about the length of an upload in a listing, in bytes.
const uploadSize = 600

func (l *ListUploads) size() int {
	return 1024 + len(l.Uploads.Page)*uploadSize + len(l.CommonPrefixes)*listedSize
}

func (l *ListUploads) write(w *writer) {
	w.root("ListMultipartUploadsResult", l.Xmlns)
	w.text("Bucket", l.Bucket)
	w.key("KeyMarker", l.KeyMarker)
	w.text("UploadIdMarker", l.UploadIDMarker)
	w.optionalKey("NextKeyMarker", l.NextKeyMarker)
	w.optional("NextUploadIdMarker", l.NextUploadIDMarker)
	w.key("Prefix", l.Prefix)
	w.optionalKey("Delimiter", l.Delimiter)
	w.number("MaxUploads", int64(l.MaxUploads))
	w.optional("EncodingType", l.EncodingType)
	w.boolean("IsTruncated", l.IsTruncated)
	for i := range l.Uploads.Page {
		l.Uploads.Page[i].write(w)
	}
	w.commonPrefixes(l.CommonPrefixes)
	w.end("ListMultipartUploadsResult")
}

func (u *ListedUpload) write(w *writer) {
	w.start("Upload")
	w.key("Key", u.Key)
	w.text("UploadId", u.UploadID)
	w.owner("Initiator", u.Initiator)
	w.owner("Owner", u.Owner)
	w.optional("StorageClass", u.StorageClass)
	w.text("Initiated", u.Initiated)
	w.optional("ChecksumAlgorithm", u.ChecksumAlgorithm)
	w.optional("ChecksumType", u.ChecksumType)
	w.end("Upload")
}

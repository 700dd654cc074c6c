package s3xml

// listedSize is about the length of an entry in a listing, in bytes.
const listedSize = 384

func (l *ListObjects) size() int { return 512 + l.Entries()*listedSize }

func (l *ListObjects) write(w *writer) {
	w.root("ListBucketResult", l.Xmlns)
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
	w.commonPrefixes(l.CommonPrefixes)
	w.end("ListBucketResult")
}

func (o *ListedObject) write(w *writer) {
	w.start("Contents")
	w.key("Key", o.Key)
	w.text("LastModified", o.LastModified)
	w.text("ETag", o.ETag)
	w.number("Size", o.Size)
	w.listedChecksum(&o.ListedChecksum)
	w.optional("StorageClass", o.StorageClass)
	w.owner("Owner", o.Owner)
	w.restoreStatus(o.RestoreStatus)
	w.end("Contents")
}

func (l *ListVersions) size() int { return 512 + l.Entries()*listedSize }

func (l *ListVersions) write(w *writer) {
	w.root("ListVersionsResult", l.Xmlns)
	w.text("Name", l.Name)
	w.point("Prefix", l.Prefix)
	w.point("KeyMarker", l.KeyMarker)
	if l.VersionIDMarker != nil {
		w.text("VersionIdMarker", *l.VersionIDMarker)
	}
	w.point("NextKeyMarker", l.NextKeyMarker)
	if l.NextVersionIDMarker != nil {
		w.text("NextVersionIdMarker", *l.NextVersionIDMarker)
	}
	w.number("MaxKeys", int64(l.MaxKeys))
	w.point("Delimiter", l.Delimiter)
	w.optional("EncodingType", l.EncodingType)
	w.boolean("IsTruncated", l.IsTruncated)
	for i := range l.Versions {
		l.Versions[i].write(w)
	}
	w.commonPrefixes(l.CommonPrefixes)
	w.end("ListVersionsResult")
}

func (v *ListedVersion) write(w *writer) {
	w.start(v.XMLName.Local)
	w.key("Key", v.Key)
	w.text("VersionId", v.VersionID)
	w.boolean("IsLatest", v.IsLatest)
	w.text("LastModified", v.LastModified)
	if v.ETag != nil {
		w.text("ETag", *v.ETag)
	}
	w.listedChecksum(&v.ListedChecksum)
	if v.Size != nil {
		w.number("Size", *v.Size)
	}
	w.optional("StorageClass", v.StorageClass)
	w.restoreStatus(v.RestoreStatus)
	w.owner("Owner", v.Owner)
	w.end(v.XMLName.Local)
}

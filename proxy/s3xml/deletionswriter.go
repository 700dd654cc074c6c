package s3xml

// deletionSize is about the length of an entry in a list of deletions, in bytes.
const deletionSize = 128

func (l *DeleteObjects) size() int { return 128 + len(l.Objects)*deletionSize }

func (l *DeleteObjects) write(w *writer) {
	w.optionalRoot("Delete", l.Xmlns)
	if l.Quiet {
		w.boolean("Quiet", true)
	}
	for i := range l.Objects {
		o := &l.Objects[i]
		w.start("Object")
		w.key("Key", o.Key)
		w.optional("VersionId", o.VersionID)
		w.optional("ETag", o.ETag)
		w.optional("LastModifiedTime", o.LastModifiedTime)
		if o.Size != nil {
			w.number("Size", *o.Size)
		}
		w.end("Object")
	}
	w.end("Delete")
}

func (l *DeleteResult) size() int { return 128 + (len(l.Deleted)+2*len(l.Errors))*deletionSize }

func (l *DeleteResult) write(w *writer) {
	w.root("DeleteResult", l.Xmlns)
	for i := range l.Deleted {
		d := &l.Deleted[i]
		w.start("Deleted")
		w.key("Key", d.Key)
		w.optional("VersionId", d.VersionID)
		if d.DeleteMarker != nil {
			w.boolean("DeleteMarker", *d.DeleteMarker)
		}
		w.optional("DeleteMarkerVersionId", d.DeleteMarkerVersionID)
		w.end("Deleted")
	}
	for i := range l.Errors {
		e := &l.Errors[i]
		w.start("Error")
		w.key("Key", e.Key)
		w.optional("VersionId", e.VersionID)
		w.text("Code", e.Code)
		w.text("Message", e.Message)
		w.end("Error")
	}
	w.end("DeleteResult")
}

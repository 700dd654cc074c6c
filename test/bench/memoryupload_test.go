package bench

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// memoryUpload is a multipart upload in progress.
type memoryUpload struct {
	bucket, key string
	header      http.Header
	parts       map[int]*memoryObject
}

func (s *memoryStore) upload(w http.ResponseWriter, r *http.Request, bucket, key string, body []byte) {
	q := r.URL.Query()
	if q.Has("uploads") {
		s.mu.Lock()
		s.made++
		id := fmt.Sprintf("%016x", s.made)
		s.uploads[id] = &memoryUpload{bucket, key, keptHeaders(r.Header), map[int]*memoryObject{}}
		s.mu.Unlock()
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", bucket, html.EscapeString(key), id)
		return
	}
	s.mu.RLock()
	u := s.uploads[q.Get("uploadId")]
	s.mu.RUnlock()
	switch {
	case u == nil || u.bucket != bucket || u.key != key:
		refuse(w, http.StatusNotFound, "NoSuchUpload")
	case r.Method == http.MethodPut:
		number, _ := strconv.Atoi(q.Get("partNumber"))
		part := &memoryObject{etag: s.hash(body), size: int64(len(body))}
		if len(body) <= keptOfPart {
			part.tail = body
		}
		s.mu.Lock()
		u.parts[number] = part
		s.mu.Unlock()
		w.Header().Set("ETag", part.etag)
	case r.Method == http.MethodGet:
		s.listParts(w, q, u)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		delete(s.uploads, q.Get("uploadId"))
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		s.complete(w, r, u, body)
	}
}

func (s *memoryStore) listParts(w http.ResponseWriter, q url.Values, u *memoryUpload) {
	after, _ := strconv.Atoi(q.Get("part-number-marker"))
	most := pageSize(q.Get("max-parts"))
	s.mu.RLock()
	defer s.mu.RUnlock()
	numbers := slices.DeleteFunc(slices.Sorted(maps.Keys(u.parts)), func(n int) bool { return n <= after })
	more := len(numbers) > most
	if more {
		numbers = numbers[:most]
	}
	fmt.Fprintf(w, "<ListPartsResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId><MaxParts>%d</MaxParts><IsTruncated>%v</IsTruncated>", u.bucket, html.EscapeString(u.key), q.Get("uploadId"), most, more)
	if more {
		fmt.Fprintf(w, "<NextPartNumberMarker>%d</NextPartNumberMarker>", numbers[most-1])
	}
	for _, n := range numbers {
		fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Part>", n, html.EscapeString(u.parts[n].etag), u.parts[n].size)
	}
	fmt.Fprint(w, "</ListPartsResult>")
}

func (s *memoryStore) complete(w http.ResponseWriter, r *http.Request, u *memoryUpload, body []byte) {
	var list struct {
		Parts []struct{ PartNumber int } `xml:"Part"`
	}
	if err := xml.Unmarshal(body, &list); err != nil {
		refuse(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	whole := &memoryObject{header: u.header}
	s.mu.RLock()
	b := s.buckets[u.bucket]
	for _, one := range list.Parts {
		part := u.parts[one.PartNumber]
		if part == nil {
			continue
		}
		if int64(len(part.tail)) < part.size { // zeros, for all that was before, too
			whole.tail = nil
		}
		whole.size, whole.tail = whole.size+part.size, append(whole.tail, part.tail...)
	}
	s.mu.RUnlock()
	whole.etag = fmt.Sprintf(`"%s-%d"`, s.hash(body)[1:33], len(list.Parts)) // of the parts' ETags
	etag, written := s.put(r.Header, b, u.key, whole)
	if !written {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	s.mu.Lock()
	delete(s.uploads, r.URL.Query().Get("uploadId"))
	s.mu.Unlock()
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", u.bucket, html.EscapeString(u.key), html.EscapeString(etag))
}

func (s *memoryStore) listUploads(w http.ResponseWriter, q url.Values, bucket string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	for id, u := range s.uploads {
		if u.bucket == bucket && (u.key > q.Get("key-marker") || u.key == q.Get("key-marker") && id > q.Get("upload-id-marker")) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.uploads[a].key, s.uploads[b].key), cmp.Compare(a, b))
	})
	most := pageSize(q.Get("max-uploads"))
	more := len(ids) > most
	if more {
		ids = ids[:most]
	}
	fmt.Fprintf(w, "<ListMultipartUploadsResult><Bucket>%s</Bucket><MaxUploads>%d</MaxUploads><IsTruncated>%v</IsTruncated>", bucket, most, more)
	if more {
		last := ids[most-1]
		fmt.Fprintf(w, "<NextKeyMarker>%s</NextKeyMarker><NextUploadIdMarker>%s</NextUploadIdMarker>", html.EscapeString(s.uploads[last].key), last)
	}
	for _, id := range ids {
		fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>", html.EscapeString(s.uploads[id].key), id)
	}
	fmt.Fprint(w, "</ListMultipartUploadsResult>")
}

package bench

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// once prepares what several jobs need.
func (w *world) once(st *stage, name string, do func() error) error {
	name = fmt.Sprint(st.tls, name)
	if w.made[name] {
		return nil
	}
	if w.made == nil {
		w.made = map[string]bool{}
	}
	w.made[name] = true
	return do()
}

// write makes an object of one piece by a PUT, and of several by a multipart upload.
func (s *subject) write(key string, c content) error {
	if c.piece < c.size {
		return s.upload(s.path(key), c, false)
	}
	_, err := s.put(s.path(key), c, 0, c.size, false)
	return err
}

// begin begins an upload and gives the path for its parts.
func (t *target) begin(path string) (string, error) {
	text, err := t.text(http.MethodPost, path+"?uploads=", nil)
	return path + "?uploadId=" + url.QueryEscape(between(string(text), "<UploadId>", "</")), err
}

// upload sends an object in parts, four at a time.
func (t *target) upload(path string, c content, trailer bool) error {
	id, err := t.begin(path)
	if err != nil {
		return err
	}
	etags := make([]string, (c.size+c.piece-1)/c.piece)
	err = sideBySide(len(etags), 4, func(i int) (err error) {
		off := int64(i) * c.piece
		etags[i], err = t.put(fmt.Sprintf("%s&partNumber=%d", id, i+1), c, off, min(c.piece, c.size-off), trailer)
		return err
	})
	if err != nil {
		return err
	}
	return t.do(http.MethodPost, id, completion(etags, 1))
}

// completion is the document that ends an upload of parts from a number on.
func completion(etags []string, first int) []byte {
	list := []byte("<CompleteMultipartUpload>")
	for i, etag := range etags {
		list = fmt.Appendf(list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", first+i, etag)
	}
	return append(list, "</CompleteMultipartUpload>"...)
}

func multipartJobs(name string, size, part int64) []job {
	c := content{size, part}
	key := "/multipart-" + name + "-0"
	return []job{
		{name: "multipart " + name, clients: 1, bulk: true, do: func(s *subject, _ int) (int64, error) { return size, s.upload(s.path("/multipart-"+name), c, false) }},
		{name: "GET of multipart " + name, clients: 2, bulk: true,
			prepare: func(w *world, st *stage, s *subject) error {
				return w.once(st, s.name+key, func() error { return s.write(key, c) })
			},
			do: func(s *subject, _ int) (int64, error) { return size, s.get(s.path(key), c, 0, size) }},
	}
}

// tlsJobs are of TLS on both sides of the proxies.
func tlsJobs() []job {
	get := putAndGet("100 MiB", 100*mib, 2)[1]
	get.name, get.tls = get.name+", TLS", true
	return append(trailerJobs(", TLS", true), get)
}

// trailerJobs upload with a checksum behind unsigned chunks, as today's SDKs do over TLS.
func trailerJobs(way string, tls bool) []job {
	var jobs []job
	for _, size := range []struct {
		name    string
		bytes   int64
		clients int
	}{{"1 MiB", mib, 8}, {"100 MiB", 100 * mib, 2}} {
		c := whole(size.bytes)
		jobs = append(jobs, job{name: "PUT " + size.name + way + ", unsigned trailer", clients: size.clients, tls: tls, bulk: true,
			do: func(s *subject, i int) (int64, error) {
				_, err := s.put(s.path(fmt.Sprintf("/put-%s-%d", size.name, i%8)), c, 0, c.size, true)
				return c.size, err
			}})
	}
	c := content{256 * mib, 8 * mib}
	return append(jobs, job{name: "multipart 256 MiB" + way + ", unsigned trailer", clients: 1, tls: tls, bulk: true,
		do: func(s *subject, _ int) (int64, error) { return c.size, s.upload(s.path("/multipart"), c, true) }})
}

// partJobs are of uploads with many parts. Stores want parts of 5 MiB where a Complete names
// more than one: of 10,000 small ones, it names the last.
func partJobs() []job {
	const many, full = 10_000, 20
	var mu sync.Mutex
	uploads := map[string]string{}
	send := func(st *stage, s *subject) (string, error) {
		id, err := s.begin(s.path("/parts"))
		if err != nil {
			return "", err
		}
		return id, sideBySide(many, 16, func(i int) error {
			return s.do(http.MethodPut, fmt.Sprintf("%s&partNumber=%d", id, i+1), []byte("x"))
		})
	}
	prepare := func(w *world, st *stage, s *subject) error {
		return w.once(st, s.name+"/parts", func() error {
			id, err := send(st, s)
			mu.Lock()
			uploads[s.name] = id
			mu.Unlock()
			return err
		})
	}
	c := content{full * 5 * mib, 5 * mib}
	return []job{
		{name: "ListParts of 10,000", clients: 1, count: 1, full: true, prepare: prepare, do: func(s *subject, _ int) (int64, error) {
			return 0, s.list(uploads[s.name]+"&max-parts=1000", partList, many)
		}},
		{name: "Complete with the last of 10,000 parts", clients: 1, count: 1, full: true, single: true, prepare: prepare, do: func(s *subject, _ int) (int64, error) {
			text, err := s.text(http.MethodGet, uploads[s.name]+"&part-number-marker=9999", nil)
			if err != nil {
				return 0, err
			}
			etag := between(string(text), "<ETag>", "</")
			return 0, s.do(http.MethodPost, uploads[s.name], completion([]string{strings.TrimSpace(etag)}, many))
		}},
		{name: "upload of 20 parts of 5 MiB", clients: 1, full: true, bulk: true, do: func(s *subject, _ int) (int64, error) {
			return c.size, s.upload(s.path("/twenty"), c, false)
		}},
	}
}

// sideBySide does n things, some at a time.
func sideBySide(n, limit int, do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(limit)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

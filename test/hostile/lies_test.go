package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// lie is a way for a store to answer falsely about an object.
type lie struct {
	name  string
	tell  lab.Lie
	bytes bool // the lie is about the bytes themselves
}

// bodyLies change the bytes, and claim a matching length.
func bodyLies() (all []lie) {
	add := func(name string, change func([]byte) []byte) {
		all = append(all, lie{name: name, tell: func(a *lab.Reply) {
			if len(a.Body) > 0 {
				a.SetBody(change(bytes.Clone(a.Body)))
			}
		}})
	}
	for tenth := range 11 {
		add(fmt.Sprintf("a bit flipped at %d tenths", tenth), func(b []byte) []byte { return s3test.Flipped(b, (len(b)-1)*tenth/10) })
	}
	for _, back := range []int{8, 12, 16, 17, 40, 100} {
		add(fmt.Sprintf("a bit flipped %d before the end", back), func(b []byte) []byte { return s3test.Flipped(b, max(0, len(b)-back)) })
	}
	add("nothing", func([]byte) []byte { return nil })
	add("half", func(b []byte) []byte { return b[:len(b)/2] })
	add("all but the last byte", func(b []byte) []byte { return b[:len(b)-1] })
	add("all but the first byte", func(b []byte) []byte { return b[1:] })
	add("a byte more", func(b []byte) []byte { return append(b, 0) })
	add("a segment more", func(b []byte) []byte { return append(b, b[:min(len(b), s3test.StoredSegment)]...) })
	add("zeros", func(b []byte) []byte { return make([]byte, len(b)) })
	add("halves exchanged", func(b []byte) []byte { return append(b[len(b)/2:len(b):len(b)], b[:len(b)/2]...) })
	add("the first segment left out", func(b []byte) []byte { return b[min(len(b), s3test.StoredSegment):] })
	add("the first segment twice", func(b []byte) []byte { return append(bytes.Clone(b[:min(len(b), s3test.StoredSegment)]), b...) })
	add("the first two segments exchanged", func(b []byte) []byte {
		if len(b) < 2*s3test.StoredSegment {
			return b
		}
		return slices.Concat(b[s3test.StoredSegment:2*s3test.StoredSegment], b[:s3test.StoredSegment], b[2*s3test.StoredSegment:])
	})
	add("the second segment in the first one's place", func(b []byte) []byte {
		if len(b) >= 2*s3test.StoredSegment {
			copy(b, b[s3test.StoredSegment:2*s3test.StoredSegment])
		}
		return b
	})
	add("an error document", func([]byte) []byte { return []byte("<Error><Code>NoSuchKey</Code></Error>") })
	return all
}

// headLies change the status and headers.
func headLies() (all []lie) {
	set := func(name, value string) {
		all = append(all, lie{name: name + ": " + value, tell: func(a *lab.Reply) { a.Header.Set(name, value) }})
	}
	drop := func(name string) {
		all = append(all, lie{name: "no " + name, tell: func(a *lab.Reply) { a.Header.Del(name) }})
	}
	for _, name := range []string{"ETag", "Last-Modified", "Content-Length", "Content-Range", "Content-Type"} {
		drop(name)
	}
	set("ETag", `"00000000000000000000000000000000"`)
	set("ETag", `W/"weak"`)
	set("ETag", "bare")
	set("Last-Modified", "yesterday")
	set("Content-Range", "bytes 0-9/10")
	set("Content-Range", "bytes 0-9/*")
	set("Content-Range", "bytes 9-0/9223372036854775807")
	set("Content-Range", "nonsense")
	set("Content-Encoding", "gzip")
	set("Content-Encoding", "aws-chunked")
	set("Content-Type", "multipart/byteranges; boundary=x")
	set("X-Amz-Mp-Parts-Count", "7")
	set("X-Amz-Checksum-Crc32", "AAAAAA==")
	set("X-Amz-Missing-Meta", "3")
	for _, by := range []int{-1, 1, 28, s3test.StoredSegment, 1 << 40} {
		all = append(all, lie{name: fmt.Sprintf("Content-Length %+d", by), tell: func(a *lab.Reply) {
			if n, err := strconv.Atoi(a.Header.Get("Content-Length")); err == nil && n+by >= 0 {
				a.Header.Set("Content-Length", strconv.Itoa(n+by))
			}
		}}, lie{name: fmt.Sprintf("Content-Range's total %+d", by), tell: func(a *lab.Reply) {
			where, total, ok := strings.Cut(a.Header.Get("Content-Range"), "/")
			if n, err := strconv.Atoi(total); ok && err == nil {
				a.Header.Set("Content-Range", fmt.Sprintf("%s/%d", where, n+by))
			}
		}})
	}
	for _, status := range []int{200, 202, 204, 206, 301, 302, 304, 307, 308, 403, 404, 412, 416, 500, 503} {
		all = append(all, lie{name: fmt.Sprintf("status %d", status), tell: func(a *lab.Reply) {
			a.Status = status
			if status >= 301 && status != 304 && status <= 308 {
				a.Header.Set("Location", "/elsewhere/object")
			}
			if status == 204 || status == 304 {
				a.Body = nil
			}
		}})
	}
	return append(all,
		lie{name: "a body in gzip", tell: func(a *lab.Reply) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(a.Body)
			z.Close()
			a.SetBody(b.Bytes())
			a.Header.Set("Content-Encoding", "gzip")
		}},
		lie{name: "a body without end", tell: func(a *lab.Reply) { a.Endless = true; a.Header.Del("Content-Length") }},
		lie{name: "no answer", tell: func(a *lab.Reply) { a.Cut = true }},
	)
}

// metaLies change each field that s3proxy keeps with an object.
func metaLies() (all []lie) {
	add := func(name string, change func(h http.Header, field string, others []string)) {
		for n := range 8 {
			all = append(all, lie{name: fmt.Sprintf("field %d %s", n, name), tell: func(a *lab.Reply) {
				var ours []string
				for _, field := range slices.Sorted(maps.Keys(a.Header)) {
					if strings.HasPrefix(field, "X-Amz-Meta-S3proxy-") {
						ours = append(ours, field)
					}
				}
				if n < len(ours) {
					change(a.Header, ours[n], ours)
				}
			}})
		}
	}
	add("left out", func(h http.Header, field string, _ []string) { h.Del(field) })
	add("changed", func(h http.Header, field string, _ []string) {
		v := []byte(h.Get(field))
		if len(v) > 0 {
			v[len(v)/2] = "AB"[(v[len(v)/2]&1)^1]
		}
		h.Set(field, string(v))
	})
	add("cut", func(h http.Header, field string, _ []string) { v := h.Get(field); h.Set(field, v[:len(v)/2]) })
	add("another's", func(h http.Header, field string, others []string) {
		h.Set(field, h.Get(others[0])+h.Get(others[len(others)-1]))
	})
	return all
}

// instead answers with another stored object (its bytes, its metadata, or both), whatever range was
// requested.
func instead(s s3test.Stored, bytesToo, metaToo bool) lab.Lie {
	return func(a *lab.Reply) {
		if a.Status >= 300 {
			return
		}
		if metaToo {
			for name := range a.Header {
				if strings.HasPrefix(name, "X-Amz-Meta-S3proxy-") {
					a.Header.Del(name)
				}
			}
			for name, value := range s.Meta {
				a.Header.Set("X-Amz-Meta-"+name, value)
			}
		}
		if !bytesToo {
			return
		}
		first, last := 0, len(s.Body)-1
		if spec := a.Request.Header.Get("Range"); spec != "" {
			from, to, _ := strings.Cut(strings.TrimPrefix(spec, "bytes="), "-")
			if n, err := strconv.Atoi(to); err == nil && from != "" {
				last = min(last, n)
			} else if err == nil {
				first = max(0, len(s.Body)-n)
			}
			if n, err := strconv.Atoi(from); err == nil {
				first = min(n, last+1)
			}
			a.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(s.Body)))
		}
		part := s.Body[first : last+1]
		if a.Request.Method == http.MethodHead {
			a.Header.Set("Content-Length", strconv.Itoa(len(part)))
			return
		}
		a.SetBody(part)
	}
}

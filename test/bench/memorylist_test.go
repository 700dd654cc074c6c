package bench

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// list is ListObjectsV2, and ListObjectVersions of a bucket that keeps none, without delimiters'
// groups.
func (s *memoryStore) list(w http.ResponseWriter, q url.Values, name string, b *memoryBucket) {
	prefix, most := q.Get("prefix"), pageSize(q.Get("max-keys"))
	after := cmp.Or(q.Get("continuation-token"), q.Get("start-after"), q.Get("key-marker"))
	document, element, version, next := "ListBucketResult", "Contents", "", "NextContinuationToken"
	if q.Has("versions") {
		document, element, version, next = "ListVersionsResult", "Version", "<VersionId>null</VersionId><IsLatest>true</IsLatest>", "NextKeyMarker"
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, found := slices.BinarySearch(b.keys, max(prefix, after))
	if found && b.keys[at] == after {
		at++
	}
	var page strings.Builder
	count, last, more := 0, "", false
	for ; at < len(b.keys) && strings.HasPrefix(b.keys[at], prefix); at++ {
		if count == most {
			more = true
			break
		}
		last, count = b.keys[at], count+1
		o := b.objects[last]
		fmt.Fprintf(&page, "<%s><Key>%s</Key>%s<LastModified>%s</LastModified><ETag>&#34;%s&#34;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></%s>",
			element, html.EscapeString(last), version, o.modified.UTC().Format("2006-01-02T15:04:05.000Z"), strings.Trim(o.etag, `"`), o.size, element)
	}
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<%s xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>%s</Name><Prefix>%s</Prefix><KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><IsTruncated>%v</IsTruncated>`,
		document, name, html.EscapeString(prefix), count, most, more)
	if more {
		fmt.Fprintf(w, "<%s>%s</%s>", next, html.EscapeString(last), next)
	}
	io.WriteString(w, page.String()+"</"+document+">")
}

func pageSize(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1000
	}
	return min(n, 1000)
}

// readChunks appends an aws-chunked body. Signatures and trailers are not looked at.
func readChunks(r io.Reader, body []byte) ([]byte, error) {
	in := bufio.NewReaderSize(r, 64*kib)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(digits, 16, 32)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			_, err := io.Copy(io.Discard, in)
			return body, err
		}
		if len(body)+int(n) > cap(body) {
			return nil, errors.New("more than was announced")
		}
		at := len(body)
		body = body[:at+int(n)]
		if _, err := io.ReadFull(in, body[at:]); err != nil {
			return nil, err
		}
		if _, err := in.Discard(2); err != nil {
			return nil, err
		}
	}
}

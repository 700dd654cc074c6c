package random

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// comparison has the answers to one call, from the store directly and through a proxy.
type comparison struct {
	name        string
	changes     bool
	gone        bool // as in the draft
	side        int
	call        s3test.Call // as sent to the proxy
	direct, got s3test.Answer
}

// deviation is one difference between the two answers.
type deviation struct {
	comparison
	store, kind string
	what        string // "status", "code", "bytes", "header X", "XML a/b"
	had, has    string
}

// notCompared are headers without meaning for an object, or that depend on the time.
var notCompared = []string{"Date", "Server", "X-Amz-Request-Id", "X-Amz-Id-2", "Connection", "Vary", "Strict-Transport-Security",
	"X-Content-Type-Options", "X-Xss-Protection", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "Content-Security-Policy", "Transfer-Encoding",
	"Retry-After", "X-Minio-Error-Code", "X-Minio-Error-Desc", "X-Accel-Buffering", "X-Frame-Options", "Referrer-Policy"}

// compared reports whether a header of an answer means something to clients.
func compared(c comparison, name string) bool {
	switch {
	case slices.Contains(notCompared, name):
		return false
	case c.direct.Status == 304:
		return name == "Etag"
	case c.direct.Status == 404 || c.direct.Status == 405:
		return c.of("GetObject", "HeadObject") && (name == "X-Amz-Version-Id" || name == "X-Amz-Delete-Marker")
	case c.direct.Status >= 300:
		return name == "Content-Range"
	case name == "Content-Length":
		return !isXML(c.direct)
	case name == "Content-Type":
		return c.of("GetObject", "HeadObject")
	case name == "Accept-Ranges":
		return c.of("GetObject", "HeadObject")
	case name == "Etag":
		return c.of("GetObject", "HeadObject", "PutObject", "UploadPart")
	}
	return true
}

func (c comparison) of(names ...string) bool { return slices.Contains(names, c.name) }

// tokenHeaders are headers whose values each side chooses itself.
var tokenHeaders = map[string]string{"Etag": anETag, "X-Amz-Version-Id": aVersion, "X-Amz-Copy-Source-Version-Id": aVersion}

// compare reports all deviations except the wanted ones.
func (q *sequence) compare(c comparison) {
	for _, d := range q.deviations(c) {
		d.store, d.kind = q.sides.store, q.kind
		reason := accepted(d)
		if reason == "" {
			q.t.Fatalf("%s (%s, %s) through the proxy, --etag %s: %s is %q, direct %q\n%s %s?%s %v\nproxy:  %v\n%.3000s\ndirect: %v\n%.3000s", c.name, q.sides.store, q.kind, sideNames[c.side], d.what, d.has, d.had,
				c.call.Method, c.call.Path, c.call.Query, c.call.Headers, c.got, documentOf(c.got), c.direct, documentOf(c.direct))
		}
		q.seen.add(q.seen.differences, reason)
		if c.changes && (c.got.Status/100 != c.direct.Status/100 || strings.HasSuffix(d.what, "/ETag")) {
			q.apart = true
		}
	}
}

func documentOf(a s3test.Answer) string {
	text := fmt.Sprint(a.Header)
	if isXML(a) {
		text += "\n" + string(a.Body)
	}
	return text
}

func isXML(a s3test.Answer) bool {
	return len(a.Body) > 0 && a.Body[0] == '<' && strings.Contains(a.Header.Get("Content-Type"), "xml")
}

func (q *sequence) deviations(c comparison) (found []deviation) {
	add := func(what, had, has string) {
		found = append(found, deviation{comparison: c, what: what, had: had, has: has})
	}
	if c.direct.Status != c.got.Status || c.direct.Code != c.got.Code {
		add("status", fmt.Sprintf("%d %s", c.direct.Status, c.direct.Code), fmt.Sprintf("%d %s", c.got.Status, c.got.Code))
		return found
	}
	if c.direct.Err != nil || c.got.Err != nil {
		add("transfer", fmt.Sprint(c.direct.Err), fmt.Sprint(c.got.Err))
		return found
	}
	isDocument := isXML(c.direct)
	for _, name := range slices.Sorted(maps.Keys(union(c.direct.Header, c.got.Header))) {
		had, has := strings.Join(c.direct.Header[name], "|"), strings.Join(c.got.Header[name], "|")
		kind, isToken := tokenHeaders[name]
		switch {
		case !compared(c, name):
		case name == "Last-Modified":
			if (had == "") != (has == "") && c.of("GetObject", "HeadObject") {
				add("header "+name, had, has)
			}
		case isToken:
			if err := q.means(c.side, kind, had, has); err != nil {
				add("header "+name, had, err.Error())
			}
		case strings.ReplaceAll(has, q.bucket[c.side], q.bucket[atStore]) != had:
			add("header "+name, had, has)
		}
	}
	switch {
	case c.direct.Status >= 300:
	case isDocument:
		found = append(found, q.documents(c)...)
	default:
		if err := s3test.SameBytes(c.got.Body, c.direct.Body); err != nil {
			add("bytes", fmt.Sprint(len(c.direct.Body)), err.Error())
		}
	}
	return found
}

func union(a, b http.Header) http.Header {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

type element struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Inner   []element `xml:",any"`
}

type leaf struct{ path, text string }

// leaves are a document's texts, each with its path. Within an element its own fields come first,
// because S3 does not define their order; then owners and common prefixes; then the other elements
// in the document's order. An empty field counts as absent.
func leaves(e element, above string) (all []leaf) {
	path := above + e.XMLName.Local
	for _, inner := range e.Inner {
		if len(inner.Inner) == 0 && inner.Text != "" {
			all = append(all, leaf{path + "/" + inner.XMLName.Local, inner.Text})
		}
	}
	slices.SortStableFunc(all, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
	for _, first := range []bool{true, false} {
		for _, inner := range e.Inner {
			if name := inner.XMLName.Local; len(inner.Inner) > 0 && first == (name == "Owner" || name == "Initiator" || name == "CommonPrefixes") {
				all = append(all, leaves(inner, path+"/")...)
			}
		}
	}
	return all
}

// tokenElements are elements whose texts each side chooses itself; "" means that only their
// presence counts.
var tokenElements = map[string]string{
	"ETag": anETag, "VersionId": aVersion, "DeleteMarkerVersionId": aVersion, "UploadId": anUpload, "VersionIdMarker": aVersion, "NextVersionIdMarker": aVersion,
	"UploadIdMarker": anUpload, "NextUploadIdMarker": anUpload, "ContinuationToken": aCursor, "NextContinuationToken": aCursor,
	"LastModified": "", "Initiated": "", "RequestId": "", "HostId": "", "Message": "", "Location": "",
}

func (q *sequence) documents(c comparison) (found []deviation) {
	add := func(what, had, has string) {
		found = append(found, deviation{comparison: c, what: what, had: had, has: has})
	}
	var direct, got element
	if err := xml.Unmarshal(c.direct.Body, &direct); err != nil {
		q.t.Fatalf("%s: the store's document: %v", c.name, err)
	}
	if err := xml.Unmarshal(c.got.Body, &got); err != nil {
		add("XML", "a document", err.Error())
		return found
	}
	direct.XMLName.Local = strings.ToUpper(direct.XMLName.Local[:1]) + direct.XMLName.Local[1:] // MinIO's getObjectAttributesResponse
	if q.store == lab.OnVersitygw {
		q.arrange(atStore, &direct, isEncoded(c.direct))
		q.arrange(c.side, &got, isEncoded(c.got))
	}
	had, has := leaves(direct, ""), leaves(got, "")
	for _, path := range missing(had, has) {
		add("XML "+path, "there", "left out")
	}
	for _, path := range missing(has, had) {
		add("XML "+path, "left out", "there")
	}
	if len(found) > 0 {
		// Elements that occur equally often on both sides are still compared.
		uneven := func(l leaf) bool {
			return slices.ContainsFunc(found, func(d deviation) bool { return d.what == "XML "+l.path })
		}
		had, has = slices.DeleteFunc(had, uneven), slices.DeleteFunc(has, uneven)
	}
	for i, l := range had {
		if l.path != has[i].path {
			add("XML order", fmt.Sprint(had), fmt.Sprint(has))
			return found
		}
	}
	return append(found, q.texts(c, had, has)...)
}

// arrange sorts what versitygw lists in its own order: tags; uploads of one key by their ids, which
// differ on each side; and delete markers, which come before the versions on each of its pages,
// while the proxy's pages end elsewhere.
func (q *sequence) arrange(side int, e *element, encoded bool) {
	place := func(e element) string {
		field := func(name string) string {
			for _, inner := range e.Inner {
				if inner.XMLName.Local == name {
					return inner.Text
				}
			}
			return ""
		}
		switch name := e.XMLName.Local; name {
		case "Tag":
			return field("Key")
		case "Upload":
			key := field("Key")
			if encoded {
				key = decoded(key)
			}
			return key + " " + q.asStores(side, anUpload, field("UploadId"))
		case "DeleteMarker", "Version":
			return name
		}
		return ""
	}
	for i := range e.Inner {
		q.arrange(side, &e.Inner[i], encoded)
	}
	slices.SortStableFunc(e.Inner, func(a, b element) int { return strings.Compare(place(a), place(b)) })
}

// missing lists the paths of leaves that occur less often in another document.
func missing(of, in []leaf) (paths []string) {
	left := map[string]int{}
	for _, l := range in {
		left[l.path]++
	}
	for _, l := range of {
		if left[l.path]--; left[l.path] < 0 {
			paths = append(paths, l.path)
		}
	}
	return paths
}

// texts compares the leaves of two documents with the same paths.
func (q *sequence) texts(c comparison, had, has []leaf) (found []deviation) {
	encoded := strings.Contains(c.call.Query, "encoding-type=url")
	storeEncodes := encoded && isEncoded(c.direct)
	for i, l := range had {
		kind, isToken := tokenElements[l.path[strings.LastIndex(l.path, "/")+1:]]
		text := has[i].text
		if encoded && !isToken {
			text = decoded(text)
		}
		if storeEncodes && !isToken {
			l.text = decoded(l.text)
		}
		var err error
		switch {
		case isToken && kind == "":
			if (l.text == "") != (text == "") {
				err = fmt.Errorf("%q", text)
			}
		case isToken && kind == anETag:
			err = q.means(c.side, kind, quoted(l.text), quoted(text))
		case isToken:
			err = q.means(c.side, kind, l.text, text)
		case strings.ReplaceAll(bareMarker(text), q.bucket[c.side], q.bucket[atStore]) != bareMarker(l.text):
			err = fmt.Errorf("%q", text)
		}
		if err != nil {
			found = append(found, deviation{comparison: c, what: "XML " + l.path, had: l.text, has: err.Error()})
		}
	}
	return found
}

func isEncoded(a s3test.Answer) bool {
	return strings.Contains(string(a.Body), "<EncodingType>url</EncodingType>")
}

// decoded is the meaning of an encoded key: the store may choose which bytes to encode.
func decoded(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// bareMarker is a marker without the notes that MinIO appends to the key.
func bareMarker(text string) string {
	key, _, _ := strings.Cut(text, "[minio_cache:")
	return key
}

// quoted is an ETag as in headers: only GetObjectAttributes omits the quotes.
func quoted(etag string) string {
	if etag == "" {
		return ""
	}
	return `"` + strings.Trim(etag, `"`) + `"`
}

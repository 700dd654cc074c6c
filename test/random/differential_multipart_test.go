package random

import (
	"fmt"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// pending is an upload in progress, with its parts as the sides know them.
type pending struct {
	key   string
	id    token
	parts map[int]token // number: ETag
	last  func(side int) string
	made  string // the ETag of the completed object, at the store
}

var partNumbers = []int{1, 2, 3, 7, 100, 10000}

func (q *sequence) createUpload() {
	d := draft{method: "POST", key: q.key()}
	d.ask("uploads", "")
	q.describe(&d, 10)
	if q.rarely("algorithm", 3) {
		d.head("x-amz-checksum-algorithm", choose(q, "algorithm", "CRC32", "SHA256", "CRC64NVME", "NONSENSE"))
		if q.rarely("type", 3) {
			d.head("x-amz-checksum-type", choose(q, "type", "FULL_OBJECT", "COMPOSITE"))
		}
	}
	answers := q.send("CreateMultipartUpload", true, d)
	if id := elements(answers, "UploadId"); answers[atStore].Status == 200 && !q.apart {
		for i := atStore + 1; i < sideCount; i++ {
			if err := q.means(i, anUpload, id[atStore], id[i]); err != nil {
				q.t.Fatal(err)
			}
		}
		q.uploads = append(q.uploads, &pending{key: d.key, id: id, parts: map[int]token{}})
	}
}

// upload is an upload in progress, or rarely one that has ended or never existed.
func (q *sequence) upload() *pending {
	if len(q.ended) > 0 && q.rarely("ended", 10) {
		return choose(q, "which ended", q.ended...)
	}
	if len(q.uploads) == 0 {
		q.createUpload()
	}
	if len(q.uploads) == 0 {
		return &pending{key: q.key(), id: same("bm90LWFuLXVwbG9hZA"), parts: map[int]token{}}
	}
	return choose(q, "upload", q.uploads...)
}

func (q *sequence) uploadPart() {
	u := q.upload()
	number := choose(q, "number", partNumbers...)
	sizes := []int{5 << 20, 100, 0, 70_000, 5<<20 + 1, 1<<20 + 1}
	d := draft{method: "PUT", key: u.key, body: q.body(sizes...)}
	d.ask("partNumber", fmt.Sprint(number))
	d.askOf("uploadId", u.id)
	q.sums(&d)
	answers := q.send("UploadPart", true, d)
	if answers[atStore].Status == 200 {
		u.parts[number] = header(answers, "Etag")
	}
}

func (q *sequence) uploadPartCopy() {
	u := q.upload()
	number := choose(q, "number", partNumbers...)
	d := draft{method: "PUT", key: u.key}
	d.ask("partNumber", fmt.Sprint(number))
	d.askOf("uploadId", u.id)
	q.copySource(&d)
	if q.rarely("range", 3) {
		d.head("x-amz-copy-source-range", choose(q, "range", "bytes=0-9", "bytes=5-70000", "bytes=0-99999999", "bytes=3-", "bytes=-3", "nonsense"))
	}
	answers := q.send("UploadPartCopy", true, d)
	if answers[atStore].Status == 200 {
		u.parts[number] = elements(answers, "ETag")
	}
}

func (q *sequence) complete() {
	u := q.upload()
	if u.last != nil {
		d := draft{method: "POST", key: u.key, document: u.last}
		d.askOf("uploadId", u.id)
		name := "CompleteMultipartUpload again"
		if now := (s3test.Call{Method: "HEAD", Path: q.path(atStore, u.key)}).Do(q.outer, q.at[atStore]); quoted(now.Header.Get("Etag")) != quoted(u.made) {
			name = "CompleteMultipartUpload of what is gone"
		}
		q.send(name, true, d)
		return
	}
	var numbers []int
	for number := range u.parts {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	switch choose(q, "list", "all", "all", "all", "but one", "reversed", "one more", "twice") {
	case "but one":
		if len(numbers) > 0 {
			numbers = slices.Delete(numbers, 0, 1)
		}
	case "reversed":
		slices.Reverse(numbers)
	case "one more":
		numbers = append(numbers, 9999)
	case "twice":
		if len(numbers) > 0 {
			numbers = append(numbers, numbers[len(numbers)-1])
		}
	}
	wrong := q.rarely("wrong ETag", 8)
	document := func(side int) string {
		var b strings.Builder
		for i, number := range numbers {
			etag, known := u.parts[number]
			if !known || wrong && i == 0 {
				etag = same(`"0123456789abcdef0123456789abcdef"`)
			}
			fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, s3test.XMLText(etag[side]))
		}
		return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + b.String() + "</CompleteMultipartUpload>"
	}
	d := draft{method: "POST", key: u.key, document: document}
	d.askOf("uploadId", u.id)
	q.writeConditions(&d, u.key, 10)
	answers := q.send("CompleteMultipartUpload", true, d)
	if answers[atStore].Status == 200 && answers[atStore].Code == "" && elements(answers, "ETag")[atStore] != "" {
		q.wrote(u.key, answers, elements(answers, "ETag"))
		u.last, u.made = document, elements(answers, "ETag")[atStore]
		q.end(u)
	}
}

func (q *sequence) end(u *pending) {
	q.uploads = slices.DeleteFunc(q.uploads, func(other *pending) bool { return other == u })
	if !slices.Contains(q.ended, u) {
		q.ended = append(q.ended, u)
	}
}

func (q *sequence) abort() {
	u := q.upload()
	d := draft{method: "DELETE", key: u.key}
	d.askOf("uploadId", u.id)
	if a := q.send("AbortMultipartUpload", true, d); a[atStore].Status == 204 {
		q.end(u)
	}
}

func (q *sequence) listParts() {
	u := q.upload()
	d := draft{method: "GET", key: u.key}
	d.askOf("uploadId", u.id)
	q.most(&d, "max-parts")
	if q.rarely("marker", 3) {
		d.ask("part-number-marker", choose(q, "marker", "0", "1", "3", "9999", "10000", "x"))
	}
	q.send("ListParts", false, d)
}

package random

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func (q *sequence) putObject() {
	d := draft{method: "PUT", key: q.key(), body: q.body(bodySizes...)}
	if strings.HasSuffix(d.key, "/") && q.rarely("a folder", 2) {
		d.body = nil
	}
	q.describe(&d, 10)
	q.sums(&d)
	q.writeConditions(&d, d.key, 8)
	answers := q.send("PutObject", true, d)
	if q.store == lab.OnVersitygw && strings.HasSuffix(d.key, "/") && answers[atStore].Code == "BadDigest" {
		q.apart = true // the store has made the folder
	}
	q.wrote(d.key, answers, header(answers, "Etag"))
}

var ranges = []string{"bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-0", "bytes=65530-65545", "bytes=65536-131071", "bytes=131072-", "bytes=1000000-1000100",
	"bytes=-0", "bytes=-99999999", "bytes=9-5", "bytes=0-1,3-4", "bytes=a-b", "chars=0-9", "bytes=5000000-", "bytes=0-99999999999999999999"}

func (q *sequence) readObject(method string) draft {
	d := draft{method: method, key: q.key()}
	q.version(&d, 4)
	if q.rarely("range", 3) {
		d.head("range", choose(q, "range", ranges...))
	}
	if q.rarely("part", 6) {
		d.ask("partNumber", choose(q, "part", "1", "2", "3", "7", "10000", "0", "10001", "x"))
	}
	q.conditions(&d, d.key, "")
	if q.rarely("checksum mode", 3) {
		d.head("x-amz-checksum-mode", "ENABLED")
	}
	for _, r := range []struct{ name, value string }{
		{"response-content-type", "text/x; y=z"}, {"response-cache-control", "no-store"}, {"response-content-disposition", `attachment; filename="é"`},
		{"response-content-encoding", "identity"}, {"response-content-language", "fr"}, {"response-expires", farOff},
	} {
		if q.rarely(r.name, 12) {
			d.ask(r.name, r.value)
		}
	}
	return d
}

func (q *sequence) getObject()  { q.send("GetObject", false, q.readObject("GET")) }
func (q *sequence) headObject() { q.send("HeadObject", false, q.readObject("HEAD")) }

func (q *sequence) deleteObject() {
	d := draft{method: "DELETE", key: q.key()}
	q.version(&d, 3)
	if q.kind == lockedBucket && q.rarely("bypass", 4) {
		d.head("x-amz-bypass-governance-retention", "true")
	}
	answers := q.send("DeleteObject", true, d)
	if len(d.query) == 0 {
		q.noteVersion(d.key, header(answers, "X-Amz-Version-Id"))
	}
}

func (q *sequence) deleteObjects() {
	type entry struct {
		key     string
		version token
	}
	var entries []entry
	for range choose(q, "how many", 1, 2, 3, 4) {
		e := entry{key: q.key()}
		if all := q.versions[e.key]; len(all) > 0 && q.rarely("version", 3) {
			e.version = choose(q, "which version", all...)
		}
		entries = append(entries, e)
	}
	quiet := q.rarely("quiet", 3)
	d := draft{method: "POST", document: func(side int) string {
		var b strings.Builder
		for _, e := range entries {
			b.WriteString("<Object><Key>" + s3test.XMLText(e.key) + "</Key>")
			if e.version[side] != "" {
				b.WriteString("<VersionId>" + e.version[side] + "</VersionId>")
			}
			b.WriteString("</Object>")
		}
		return fmt.Sprintf(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s<Quiet>%t</Quiet></Delete>`, b.String(), quiet)
	}}
	d.ask("delete", "")
	if q.kind == lockedBucket && q.rarely("bypass", 4) {
		d.head("x-amz-bypass-governance-retention", "true")
	}
	answers := q.send("DeleteObjects", true, d)
	var result [sideCount]struct {
		Deleted []struct{ Key, DeleteMarkerVersionId string }
	}
	for i, a := range answers {
		xml.Unmarshal(a.Body, &result[i])
	}
	for n, deleted := range result[atStore].Deleted {
		var marker token
		for i := range marker {
			if n < len(result[i].Deleted) {
				marker[i] = result[i].Deleted[n].DeleteMarkerVersionId
			}
		}
		q.noteVersion(deleted.Key, marker)
	}
}

// copySource adds the source of a copy, with version and conditions, and returns its key.
func (q *sequence) copySource(d *draft) string {
	from := q.key()
	var source token
	version := draft{key: from}
	q.version(&version, 5)
	for i := range source {
		source[i] = s3test.Escape(q.bucket[i]+"/"+from, true)
		if len(version.query) > 0 {
			source[i] += "?versionId=" + version.query[0].value[i]
		}
	}
	d.headOf("x-amz-copy-source", source)
	q.conditions(d, from, "x-amz-copy-source-")
	return from
}

func (q *sequence) copyObject() {
	d := draft{method: "PUT", key: q.key()}
	from := q.copySource(&d)
	if q.rarely("metadata", 2) {
		d.head("x-amz-metadata-directive", choose(q, "directive", "REPLACE", "REPLACE", "COPY", "NONSENSE"))
	}
	if q.rarely("tags", 4) {
		d.head("x-amz-tagging-directive", choose(q, "directive", "REPLACE", "COPY"))
	}
	q.describe(&d, 8)
	if d.headers["x-amz-tagging-directive"] != same("REPLACE") {
		delete(d.headers, "x-amz-tagging") // S3 then copies the source's tags; MinIO uses these
	}
	if q.rarely("checksum", 8) {
		d.head("x-amz-checksum-algorithm", choose(q, "algorithm", "CRC32", "SHA256"))
	}
	answers := q.send("CopyObject", true, d)
	if q.store == lab.OnVersitygw && from == d.key && answers[atStore].Status == 200 && (q.kind != plainBucket || d.headers["x-amz-checksum-algorithm"][atStore] != "") {
		q.apart = true // it has made no version, and keeps a checksum of no bytes
	}
	q.wrote(d.key, answers, elements(answers, "ETag"))
}

// elements returns, as one token, the first element with a name in each side's document.
func elements(answers [sideCount]s3test.Answer, name string) (all token) {
	for i, a := range answers {
		var root element
		if xml.Unmarshal(a.Body, &root) != nil {
			continue
		}
		for _, l := range leaves(root, "") {
			if all[i] == "" && strings.HasSuffix(l.path, "/"+name) {
				all[i] = l.text
			}
		}
	}
	return all
}

func (q *sequence) getAttributes() {
	d := draft{method: "GET", key: q.key()}
	d.ask("attributes", "")
	q.version(&d, 5)
	d.head("x-amz-object-attributes", choose(q, "attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize", "ObjectSize", "ETag", "ObjectParts", "Checksum,ObjectSize", "Nonsense"))
	if q.rarely("parts", 4) {
		d.head("x-amz-max-parts", choose(q, "most", "1", "2", "1000"))
		d.head("x-amz-part-number-marker", choose(q, "marker", "0", "1", "2"))
	}
	q.send("GetObjectAttributes", false, d)
}

func (q *sequence) putTagging() {
	d := draft{method: "PUT", key: q.key()}
	tags := choose(q, "tags", "<Tag><Key>a</Key><Value>b</Value></Tag>", "", "<Tag><Key>ü &amp; x</Key><Value></Value></Tag><Tag><Key>k</Key><Value>v</Value></Tag>", "<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>a</Key><Value>2</Value></Tag>")
	d.document = func(int) string { return "<Tagging><TagSet>" + tags + "</TagSet></Tagging>" }
	d.ask("tagging", "")
	q.version(&d, 4)
	q.send("PutObjectTagging", true, d)
}

func (q *sequence) getTagging() {
	d := draft{method: "GET", key: q.key()}
	d.ask("tagging", "")
	q.version(&d, 4)
	q.send("GetObjectTagging", false, d)
}

func (q *sequence) deleteTagging() {
	d := draft{method: "DELETE", key: q.key()}
	d.ask("tagging", "")
	q.version(&d, 4)
	q.send("DeleteObjectTagging", true, d)
}

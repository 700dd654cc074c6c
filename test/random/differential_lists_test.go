package random

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

var prefixes = []string{"", "dir/", "dir", "d", "ü/", "nothing", "deep/er/", "two  ", "100%", "z|", ".", "/"}

// listing begins the draft of a list.
func (q *sequence) listing(of string) draft {
	d := draft{method: "GET"}
	if of != "" {
		d.ask(of, "")
	}
	if q.rarely("prefix", 3) {
		d.ask("prefix", choose(q, "prefix", prefixes...))
	}
	if q.rarely("delimiter", 3) {
		d.ask("delimiter", choose(q, "delimiter", "/", "/", "a", "/sub", " ", "", "%", "é"))
	}
	if q.rarely("encoding", 4) {
		d.ask("encoding-type", choose(q, "encoding", "url", "url", "nonsense"))
	}
	return d
}

func (q *sequence) most(d *draft, name string) {
	if q.rarely("most", 2) {
		d.ask(name, choose(q, "most", "2", "1", "3", "0", "1000", "5000", "-1", "x"))
	}
}

// somewhere is a key after which to continue: an existing key, or a place in between.
func (q *sequence) somewhere() string {
	return choose(q, "where", append(q.keys, "c", "dir", "zzz", "")...)
}

func (q *sequence) listObjects() {
	d := q.listing("")
	q.most(&d, "max-keys")
	if q.rarely("marker", 3) {
		d.ask("marker", q.somewhere())
	}
	q.send("ListObjects", false, d)
}

func (q *sequence) listObjectsV2() {
	d := q.listing("")
	d.ask("list-type", "2")
	q.most(&d, "max-keys")
	if q.rarely("start-after", 4) {
		d.ask("start-after", q.somewhere())
	}
	if q.rarely("owner", 4) {
		d.ask("fetch-owner", choose(q, "owner", "true", "false"))
	}
	q.page("ListObjectsV2", d, "NextContinuationToken", "continuation-token")
}

// page requests a list and its following pages, as a client does, up to the end that the first side
// finds. wholeList checks that nothing is lost after that.
func (q *sequence) page(name string, d draft, next, parameterName string) {
	for range 10 {
		answers := q.send(name, false, d)
		cursor := elements(answers, next)
		if answers[atStore].Status != 200 || slices.Contains(cursor[:], "") || q.apart || uneven(answers) {
			return
		}
		d.query = without(d.query, parameterName)
		d.askOf(parameterName, cursor)
	}
}

// uneven reports whether the sides' pages end at different places.
func uneven(answers [sideCount]s3test.Answer) bool {
	return entriesOf(answers[throughMD5]) != entriesOf(answers[atStore]) || entriesOf(answers[throughOpaque]) != entriesOf(answers[atStore])
}

func without(query []parameter, names ...string) (rest []parameter) {
	for _, p := range query {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+p.name+" ") {
			rest = append(rest, p)
		}
	}
	return rest
}

func (q *sequence) listVersions() {
	d := q.listing("versions")
	q.most(&d, "max-keys")
	if q.rarely("marker", 4) {
		key := q.somewhere()
		d.ask("key-marker", key)
		if all := q.versions[key]; len(all) > 0 && q.rarely("version marker", 2) {
			d.askOf("version-id-marker", choose(q, "which version", all...))
		}
	}
	q.pageByMarkers("ListObjectVersions", d, "key-marker", "NextKeyMarker", "version-id-marker", "NextVersionIdMarker")
}

func (q *sequence) listUploads() {
	d := q.listing("uploads")
	// versitygw lists uploads of one key by id, so chance decides which of them are on a page.
	paged := q.store != lab.OnVersitygw || !q.uploadsShareKeys()
	if paged {
		q.most(&d, "max-uploads")
	}
	if q.rarely("marker", 4) {
		key := q.somewhere()
		d.ask("key-marker", key)
		for _, u := range q.uploads {
			if u.key == key && paged && q.rarely("upload marker", 2) {
				d.askOf("upload-id-marker", u.id)
				break
			}
		}
	}
	q.pageByMarkers("ListMultipartUploads", d, "key-marker", "NextKeyMarker", "upload-id-marker", "NextUploadIdMarker")
}

func (q *sequence) uploadsShareKeys() bool {
	keys := map[string]bool{}
	for _, u := range q.uploads {
		keys[u.key] = true
	}
	return len(keys) < len(q.uploads)
}

func (q *sequence) pageByMarkers(name string, d draft, keyName, nextKey, idName, nextID string) {
	for range 10 {
		answers := q.send(name, false, d)
		key, id := elements(answers, nextKey), elements(answers, nextID)
		if answers[atStore].Status != 200 || elements(answers, "IsTruncated")[atStore] != "true" || key[atStore] == "" || q.apart || uneven(answers) {
			return
		}
		for i := range key {
			// MinIO sometimes says that more follows although nothing does: then nothing must be
			// there.
			key[i] = s3test.OrElse(key[i], bareMarker(key[atStore]))
			id[i] = s3test.OrElse(id[i], q.names[i][aVersion+id[atStore]])
			if strings.Contains(q.form(d, i).Query, "encoding-type") {
				key[i] = decoded(key[i])
			}
		}
		if key[throughMD5] == key[atStore]+"/" {
			key[atStore] += "/" // otherwise versitygw would begin with the folder that the page ended with
		}
		d.query = without(d.query, keyName, idName)
		d.askOf(keyName, key)
		if id[atStore] != "" {
			d.askOf(idName, id)
		}
	}
}

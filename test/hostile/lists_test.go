package hostile

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// A list's entries and sizes are the store's word (docs/THREATS.md). The proxy guarantees only that
// it computes sizes from the store's, that no state object is listed, that the answer ends, and
// what it costs.

// shownList is what a client reads of a list of any kind.
type shownList struct {
	Name, Bucket, Key, UploadID string // Bucket, Key and UploadId are in lists of uploads and parts
	Contents                    []shownEntry
	Version                     []shownEntry
	DeleteMarker                []shownEntry
	Upload                      []shownEntry
	CommonPrefixes              []struct{ Prefix string }
	Part                        []struct {
		PartNumber int
		ETag       string
		Size       string
	}
}

type shownEntry struct{ Key, Size string }

func (l shownList) names() (all []string) {
	for _, entries := range [][]shownEntry{l.Contents, l.Version, l.DeleteMarker, l.Upload} {
		for _, e := range entries {
			all = append(all, e.Key)
		}
	}
	for _, p := range l.CommonPrefixes {
		all = append(all, p.Prefix)
	}
	return all
}

// ownSpellings are names of state objects as some stores may spell them.
var ownSpellings = []string{
	".s3proxy/keys/0123456789abcdef0123456789abcdef", ".s3proxy/", ".s3proxy", "/.s3proxy/floor", "//.s3proxy//floor", "./.s3proxy/floor",
	"a/../.s3proxy/floor", ".S3Proxy/floor", `.s3proxy\floor`, ".s3proxy/uploads/x/key", ".s3proxy/../.s3proxy/floor",
}

func isOwn(name string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(name, "%2F", "/")), ".s3proxy")
}

var (
	keyElement  = regexp.MustCompile(`<Key>[^<]*</Key>`)
	sizeElement = regexp.MustCompile(`<Size>[^<]*</Size>`)
	lastElement = regexp.MustCompile(`</(ListBucketResult|ListVersionsResult|ListMultipartUploadsResult|ListPartsResult)>`)
)

// clientListLies falsify what a client lists.
func clientListLies() (all []lie) {
	text := func(name string, change func(string) string) {
		all = append(all, lie{name: name, tell: func(a *lab.Reply) { a.SetBody([]byte(change(string(a.Body)))) }})
	}
	every := func(name string, element *regexp.Regexp, to string) {
		text(name, func(s string) string { return element.ReplaceAllLiteralString(s, to) })
	}
	inject := func(name, more string) {
		text(name, func(s string) string { return lastElement.ReplaceAllString(s, more+"</$1>") })
	}
	all = append(all, lie{name: "one of our own alone, and then more than was asked for, of no key", tell: func(a *lab.Reply) {
		next := a.Request.URL.Query()
		first := next.Get("key-marker")+next.Get("marker")+next.Get("start-after")+next.Get("continuation-token") == ""
		s := strings.ReplaceAll(string(a.Body), "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>")
		if s = keyElement.ReplaceAllLiteralString(s, "<Key></Key>"); first {
			s = keyElement.ReplaceAllLiteralString(s, "<Key>.s3proxy/keys/0</Key>")
		}
		a.SetBody([]byte(lastElement.ReplaceAllString(s, "<Version><Key></Key><VersionId>x</VersionId><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>443</Size></Version></$1>")))
		if first {
			a.SetBody([]byte(lastElement.ReplaceAllString(s, "<NextKeyMarker>m</NextKeyMarker><NextMarker>m</NextMarker></$1>")))
		}
	}})
	for _, size := range []string{"-1", "-9223372036854775808", "0", "1", "443", "9223372036854775807", "9223372036854775808", "1e3", "0x10", "many", "", " 7 ", "1.5", "53687091200001"} {
		every("sizes of "+size, sizeElement, "<Size>"+size+"</Size>")
	}
	entry := func(key string) string {
		const rest = "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag><Size>443</Size>"
		return "<Contents><Key>" + key + "</Key>" + rest + "</Contents>" +
			"<Version><Key>" + key + "</Key><VersionId>1</VersionId>" + rest + "</Version><DeleteMarker><Key>" + key + "</Key><VersionId>2</VersionId></DeleteMarker>" +
			"<Upload><Key>" + key + "</Key><UploadId>x</UploadId></Upload>" +
			"<CommonPrefixes><Prefix>" + key + "</Prefix></CommonPrefixes>"
	}
	for _, own := range ownSpellings {
		inject("our own object as "+own, entry(own))
		every("all of them "+own, keyElement, "<Key>"+own+"</Key>")
	}
	inject("our own object in URL encoding", "<EncodingType>url</EncodingType>"+entry("%2es3proxy%2Ffloor"))
	for _, foreign := range []string{"../victim/k", "/victim/k", "victim", strings.Repeat("k", 5000), "&#x0;", "&#xD800;", "\xff\xfe", "a\x01b"} {
		inject("the key "+foreign[:min(len(foreign), 20)], entry(foreign))
	}
	every("keys that are empty", keyElement, "<Key></Key>")
	inject("an upload id that is a path", "<Upload><Key>k</Key><UploadId>../../victim</UploadId></Upload>")
	inject("everything twice", "")
	all[len(all)-1].tell = func(a *lab.Reply) {
		s := string(a.Body)
		if from, to := strings.Index(s, "<Contents>"), strings.LastIndex(s, "</Contents>"); from >= 0 && to > from {
			a.SetBody([]byte(s[:to] + "</Contents>" + s[from:to] + s[to:]))
		}
	}
	inject("2000 entries more", strings.Repeat(entry("k"), 2000))
	inject("parts of all numbers", "<Part><PartNumber>-1</PartNumber><ETag>x</ETag><Size>1</Size></Part><Part><PartNumber>99999</PartNumber><Size>1</Size></Part><Part><PartNumber>1</PartNumber><ETag>x</ETag><Size>-7</Size></Part>")
	for _, place := range []string{"Name", "Bucket", "Key", "Prefix", "UploadId"} {
		every("another "+place, regexp.MustCompile("<"+place+">[^<]*</"+place+">"), "<"+place+">victim</"+place+">")
	}
	for _, token := range []string{"again", "", ".s3proxy/keys/0", "../victim", strings.Repeat("t", 70_000)} {
		endless := func(s string) string {
			s = strings.ReplaceAll(s, "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>")
			for _, name := range []string{"NextContinuationToken", "NextMarker", "NextKeyMarker", "NextVersionIdMarker", "NextUploadIdMarker"} {
				s = lastElement.ReplaceAllString(s, "<"+name+">"+token+"</"+name+"></$1>")
			}
			return lastElement.ReplaceAllString(s, "<NextPartNumberMarker>1</NextPartNumberMarker></$1>")
		}
		short := token[:min(len(token), 20)]
		text("no end, and the token "+short, endless)
		text("no end behind our own objects, and the token "+short, func(s string) string {
			return endless(keyElement.ReplaceAllLiteralString(s, "<Key>.s3proxy/keys/0</Key>"))
		})
		text("no end behind one of our own, and the token "+short, func(s string) string {
			return endless(lastElement.ReplaceAllString(s, entry(".s3proxy/keys/0")+"</$1>"))
		})
		text("no end behind one of our own, empty keys, and the token "+short, func(s string) string {
			return endless(lastElement.ReplaceAllString(keyElement.ReplaceAllLiteralString(s, "<Key></Key>"), entry(".s3proxy/keys/0")+"</$1>"))
		})
	}
	text("another root", func(s string) string {
		return lastElement.ReplaceAllString(strings.Replace(s, "<List", "<Lost", 1), "</Lost>")
	})
	text("deep elements", func(string) string { return strings.Repeat("<a>", 200_000) })
	text("deep elements in the list", func(s string) string { return lastElement.ReplaceAllString(s, strings.Repeat("<a>", 5000)+"</$1>") })
	text("many elements", func(s string) string { return lastElement.ReplaceAllString(s, strings.Repeat("<a/>", 500_000)+"</$1>") })
	text("a long attribute", func(s string) string {
		return lastElement.ReplaceAllString(s, `<a b="`+strings.Repeat("c", 200_000)+`"/></$1>`)
	})
	text("entities", func(s string) string {
		return `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + strings.ReplaceAll(s, "<Key>", "<Key>&b;")
	})
	text("half of it", func(s string) string { return s[:len(s)/2] })
	for _, l := range answerLies() { // answers that are not lists at all
		if strings.HasPrefix(l.name, "status") || strings.HasPrefix(l.name, "an e") || strings.HasPrefix(l.name, "a w") || strings.HasPrefix(l.name, "a body") || strings.HasPrefix(l.name, "no ") {
			all = append(all, l)
		}
	}
	return all
}

// listing is a list that a client asks for.
type listing struct{ name, query, key string }

// listPlace is a bucket with objects and an upload of two parts.
type listPlace struct {
	bucket string
	asked  []listing
	parts  map[int]int // sizes by number
}

func newListPlace(t *testing.T, at lab.S3) listPlace {
	t.Helper()
	p := listPlace{bucket: s3test.NewBucket(t, at), parts: map[int]int{1: 5 << 20, 2: 70_001}}
	for n, key := range []string{"a", "b/c", "b/d", "e"} {
		s3test.MustPut(t, at, "/"+p.bucket+"/"+key, s3test.Content(uint64(n), 1+n*65_536))
	}
	client := s3test.SDK(t, at)
	upload := s3test.Begin(t, client, p.bucket, "upload")
	for number, size := range p.parts {
		upload.Send(client, int32(number), s3test.Content(uint64(number), size))
	}
	p.asked = []listing{
		{name: "V1"}, {name: "V1 with a delimiter", query: "delimiter=%2F"}, {name: "V1, two keys", query: "max-keys=2"},
		{name: "V2", query: "list-type=2"}, {name: "V2 in URL encoding", query: "list-type=2&encoding-type=url"}, {name: "V2, two keys", query: "list-type=2&max-keys=2"},
		{name: "versions", query: "versions="}, {name: "versions, two keys", query: "versions=&max-keys=2"}, {name: "versions with a delimiter", query: "versions=&delimiter=%2F"},
		{name: "uploads", query: "uploads="}, {name: "parts", query: "uploadId=" + upload.ID, key: "/upload"},
	}
	return p
}

// judge says what is wrong with the list shown to a client; told is everything the store said.
func (p listPlace) judge(asked listing, shown s3test.Answer, told []byte) error {
	if !succeeded(shown) {
		return nil
	}
	var list shownList
	if err := xml.Unmarshal(shown.Body, &list); err != nil {
		return fmt.Errorf("not a list that can be parsed: %w", err)
	}
	for _, name := range list.names() {
		if isOwn(name) {
			return fmt.Errorf("it has %q", name)
		}
	}
	if list.Name != "" && list.Name != p.bucket || list.Bucket != "" && list.Bucket != p.bucket {
		return fmt.Errorf("it is of the bucket %q", list.Name+list.Bucket)
	}
	if asked.name == "parts" {
		for _, part := range list.Part {
			if size, ok := p.parts[part.PartNumber]; !ok || part.Size != fmt.Sprint(size) {
				return fmt.Errorf("part %d of %s bytes", part.PartNumber, part.Size)
			}
		}
		return nil
	}
	honest := map[string]bool{} // empty if there is nothing to compare
	for _, element := range sizeElement.FindAll(told, -1) {
		var stored int64
		if _, err := fmt.Sscan(between(element, "<Size>", "</Size>"), &stored); err == nil {
			size, ok := envelope.PlainSize(stored)
			if !ok {
				size = stored
			}
			honest[fmt.Sprint(size)] = true
		}
	}
	for _, e := range append(list.Contents, list.Version...) {
		if strings.HasPrefix(e.Size, "-") || len(honest) > 0 && !honest[e.Size] {
			return fmt.Errorf("%q has %s bytes", e.Key, e.Size)
		}
	}
	return nil
}

const (
	maxListRequests = 24               // to the store, for one list
	listWithin      = 10 * time.Second // on a busy machine
	listMemory      = 150 << 20
)

// Whatever a store lists, a client gets an error, or a list that keeps the proxy's guarantees.
func TestAListOfAHostileStoreIsAsPromisedOrAnError(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	t.Parallel()
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			store := lab.SharedVersitygw(t)
			hostile := lab.Hostile(t, store)
			first := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", mode}})
			place := newListPlace(t, first.S3())
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: hostile.URL, DataDir: first.DataDir, Args: hurried("--etag", mode)})
			lies := clientListLies()
			step := lab.Every(25, 5)
			attacks, refused := 0, 0
			for n := 0; n < len(lies); n += step {
				l := lies[n]
				for _, asked := range place.asked {
					requests := 0
					var word []byte
					hostile.Tell(func(a *lab.Reply) {
						if a.Request.Method != http.MethodGet || strings.Contains(a.Request.URL.RawQuery, "prefix=.s3proxy") || a.Request.URL.Path != "/"+place.bucket+asked.key {
							return
						}
						requests++
						l.tell(a)
						word = append(word, a.Body...)
					})
					began := time.Now()
					got := s3test.Call{Method: http.MethodGet, Path: "/" + place.bucket + asked.key, Query: asked.query}.Do(t, proxy.S3())
					took, told := time.Since(began), hostile.Tell(nil)
					if told > 0 {
						attacks++
						if !succeeded(got) {
							refused++
						}
					}
					if err := place.judge(asked, got, word); err != nil {
						t.Errorf("%s, %s: %v\n%.1500s", asked.name, l.name, err, got.Body)
					}
					if requests > maxListRequests || took > listWithin || got.Status == 0 {
						t.Errorf("%s, %s: %d requests, %v: %v", asked.name, l.name, requests, took, got)
					}
				}
			}
			for _, asked := range place.asked {
				if got := (s3test.Call{Method: http.MethodGet, Path: "/" + place.bucket + asked.key, Query: asked.query}).Do(t, proxy.S3()); !succeeded(got) {
					t.Errorf("%s, honestly, after all that: %v", asked.name, got)
				}
			}
			peak, err := proxy.PeakMemory()
			if err != nil || peak > listMemory {
				t.Errorf("the proxy had %d MiB: %v", peak>>20, err)
			}
			t.Logf("%d attacks on lists: %d refused, %d shown as promised; %d MiB at most", attacks, refused, attacks-refused, peak>>20)
			if lab.Long && attacks < 1000 {
				t.Errorf("%d attacks changed an answer, want 1,000", attacks)
			}
		})
	}
}

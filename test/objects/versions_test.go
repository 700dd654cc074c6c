package objects

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// versionsPage is a page of versions, in the order of the document.
type versionsPage struct {
	entries             []string // kind, key and version; or a common prefix
	truncated           bool
	nextKey, nextMarker string
}

// versionsOf asks for one page; query follows "versions&".
func versionsOf(t *testing.T, at lab.S3, bucket, query string) (page versionsPage) {
	t.Helper()
	a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: "versions=" + query}.Do(t, at)
	if a.Status != 200 {
		t.Fatalf("versions of %s, %s: %v", bucket, query, a)
	}
	var doc struct {
		Elements []struct {
			XMLName   xml.Name
			Key       string
			VersionID string `xml:"VersionId"`
			Prefix    string
			Text      string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(a.Body, &doc); err != nil {
		t.Fatal(err)
	}
	for _, e := range doc.Elements {
		switch e.XMLName.Local {
		case "Version", "DeleteMarker":
			page.entries = append(page.entries, e.XMLName.Local+" "+e.Key+" "+e.VersionID)
		case "CommonPrefixes":
			page.entries = append(page.entries, "prefix "+e.Prefix)
		case "IsTruncated":
			page.truncated = e.Text == "true"
		case "NextKeyMarker":
			page.nextKey = e.Text
		case "NextVersionIdMarker":
			page.nextMarker = e.Text
		}
	}
	return page
}

// allVersionsOf collects all pages of at most each entries.
func allVersionsOf(t *testing.T, at lab.S3, bucket string, each int, query string) (entries []string) {
	t.Helper()
	q := ""
	for range 200 {
		page := versionsOf(t, at, bucket, fmt.Sprintf("&max-keys=%d%s%s", each, query, q))
		if len(page.entries) > each {
			t.Errorf("a page of %d has %d entries: %q", each, len(page.entries), page.entries)
		}
		entries = append(entries, page.entries...)
		if !page.truncated {
			return entries
		}
		q = "&key-marker=" + url.QueryEscape(page.nextKey)
		if page.nextMarker != "" {
			q += "&version-id-marker=" + url.QueryEscape(page.nextMarker)
		}
	}
	t.Fatalf("pages of %d do not end", each)
	return nil
}

// bucketOfVersions makes versions and delete markers of four keys, which sort before and after the
// state objects. All are made within a second or two.
func bucketOfVersions(t *testing.T, at lab.S3) (bucket string) {
	t.Helper()
	bucket = s3test.NewBucket(t, at)
	client := s3test.SDK(t, at)
	if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{".a", "b", "c/d", "e"} {
		for i, method := range []string{"PUT", "DELETE", "PUT", "PUT", "DELETE", "PUT"} {
			c := s3test.Call{Method: method, Path: "/" + bucket + "/" + key}
			if method == "PUT" {
				c.Body = []byte(key + fmt.Sprint(i))
			}
			if a := c.Do(t, at); a.Status != 200 && a.Status != 204 {
				t.Fatalf("%s %s: %v", method, key, a)
			}
		}
	}
	return bucket
}

func TestVersionsAndDeleteMarkersAreListedInTheStoresOrderOnEveryPage(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedMinIO
			if name == lab.OnVersitygw {
				store = lab.VersitygwForSuite
			}
			behind := store(t)
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: behind})
			bucket := bucketOfVersions(t, proxy.S3())
			want := slices.DeleteFunc(versionsOf(t, behind.S3(), bucket, "").entries, func(e string) bool { return strings.Contains(e, ".s3proxy/") })
			if len(want) != 24 {
				t.Fatalf("the store lists %q", want)
			}
			if got := versionsOf(t, proxy.S3(), bucket, "").entries; !slices.Equal(got, want) {
				t.Errorf("listed as\n%q\nnot as\n%q", got, want)
			}
			for each := 1; each < 12; each++ {
				got := allVersionsOf(t, proxy.S3(), bucket, each, "")
				want := want
				if name == lab.OnVersitygw { // it lists a page's delete markers before the versions
					slices.Sort(got)
					want = slices.Sorted(slices.Values(want))
				}
				if !slices.Equal(got, want) {
					t.Errorf("in pages of %d listed as\n%q\nnot as\n%q", each, got, want)
				}
				prefixes := allVersionsOf(t, proxy.S3(), bucket, each, "&delimiter=%2F")
				if n := len(slices.Compact(slices.Sorted(slices.Values(prefixes)))); n != 19 || n != len(prefixes) {
					t.Errorf("with a delimiter in pages of %d: %q", each, prefixes)
				}
			}
		})
	}
}

func TestAVersionIDMarkerAloneIsRefusedInS3sWords(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for _, key := range []string{"", "&key-marker="} {
			a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: "versions=" + key + "&version-id-marker=null"}.Do(t, at.S3)
			if a.Status != 400 || a.Code != "InvalidArgument" || a.Text != "A version-id marker cannot be specified without a key marker." {
				t.Errorf("with %q: %v", key, a)
			}
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket, Query: "versions=&key-marker=&version-id-marker="}).Do(t, at.S3); a.Status != 200 {
			t.Errorf("empty markers: %v", a)
		}
	})
}

func TestAListOfNoVersionsTellsNothing(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		s3test.RoundTrip(t, at.S3, bucket, 1000)
		a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: "versions&max-keys=0"}.Do(t, at.S3)
		if text := string(a.Body); a.Status != 200 || strings.Contains(text, ".s3proxy") || !lab.Direct && (strings.Contains(text, "<Version>") || !strings.Contains(text, "<IsTruncated>false<")) {
			t.Errorf("%v: %s", a, text)
		}
	})
}

// versitygw 1.8 omits the slash from the marker after a folder.
func TestAFolderAtTheEndOfAPageOfVersionsIsListedOnce(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := openVersioned(t, name).S3
			bucket := s3test.NewBucket(t, at)
			var want []string
			for _, key := range []string{"a/", "b/c/", "d", "e/"} {
				c := s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + key}
				if key == "d" {
					c.Body = []byte(key)
				}
				if a := c.Do(t, at); a.Status != 200 {
					t.Fatal(a)
				}
				want = append(want, "Version "+key+" null")
			}
			for each := 1; each <= 4; each++ {
				if got := allVersionsOf(t, at, bucket, each, ""); !slices.Equal(got, want) {
					t.Errorf("by pages of %d: %q", each, got)
				}
			}
		})
	}
}

// versitygw 1.8 answers a HEAD of this version with 404.
func TestTheVersionNullOfAnObjectOfBeforeVersioningIsReadOnConditions(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *lab.Store{lab.OnVersitygw: lab.VersitygwForSuite, lab.OnMinIO: lab.SharedMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := start(t)
			for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
				at := store.S3()
				if !lab.Direct {
					at = lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", mode}}).S3()
				}
				path := "/" + s3test.NewBucket(t, at) + "/k"
				put := s3test.Call{Method: "PUT", Path: path, Body: s3test.Content(1, 200_000)}.Do(t, at)
				other := `"0123456789abcdef0123456789abcdef"`
				for _, c := range []struct {
					headers map[string]string
					want    int
				}{
					{map[string]string{"if-match": put.Header.Get("Etag")}, 200},
					{map[string]string{"if-match": put.Header.Get("Etag"), "range": "bytes=5-9"}, 206},
					{map[string]string{"if-none-match": other}, 200},
					{map[string]string{"if-match": other}, 412},
					{map[string]string{"if-none-match": put.Header.Get("Etag")}, 304},
				} {
					if a := (s3test.Call{Method: "GET", Path: path, Query: "versionId=null", Headers: c.headers}).Do(t, at); a.Status != c.want || c.want == 200 && len(a.Body) != 200_000 {
						t.Errorf("--etag %s, %v: %v", mode, c.headers, a)
					}
				}
			}
		})
	}
}

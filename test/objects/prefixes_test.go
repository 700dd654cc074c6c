package objects

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// listedNames are the keys and common prefixes on one page, sorted.
func listedNames(t *testing.T, at lab.S3, bucket, query string) (names []string) {
	t.Helper()
	a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: query}.Do(t, at)
	if a.Status != 200 {
		t.Fatalf("%s: %v", query, a)
	}
	for text := string(a.Body); ; {
		begin := strings.IndexAny(text, "<")
		if begin < 0 {
			break
		}
		text = text[begin:]
		for _, element := range []string{"<Key>", "<CommonPrefixes><Prefix>"} {
			if rest, ok := strings.CutPrefix(text, element); ok {
				name, _, _ := strings.Cut(rest, "<")
				names = append(names, name)
			}
		}
		text = text[1:]
	}
	slices.Sort(names)
	return names
}

// rolledUp is what a listing with a delimiter shows of the keys.
func rolledUp(keys []string, prefix, delimiter string) (names []string) {
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if before, _, cut := strings.Cut(rest, delimiter); cut {
			key = prefix + before + delimiter
		}
		names = append(names, key)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestACommonPrefixIsShownIfAClientsObjectHasIt(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("there is no proxy")
		}
		below := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--state-prefix", "team/"}})
		for name, place := range map[string]lab.S3{"": at.S3, "team/": below.S3()} {
			for _, others := range [][]string{{}, {name + ".profile"}, {name + ".t"}} {
				bucket := lab.FreeName("prefixes")
				s3test.MakeBucket(t, place, bucket)
				keys := append(others, "b", "ds/1", "es.1")
				for _, key := range keys {
					s3test.MustPut(t, place, "/"+bucket+"/"+key, []byte(key))
				}
				for _, delimiter := range []string{".", "s", "y", "/", "y/", "e", "k"} {
					if delimiter == "." && at.Name == lab.OnMinIO { // which refuses that value in a query
						continue
					}
					for _, prefix := range []string{"", ".s3", "t"} {
						want := rolledUp(keys, prefix, delimiter)
						for _, kind := range []string{"list-type=2", "", "versions="} {
							query := fmt.Sprintf("%s&delimiter=%s&prefix=%s", kind, url.QueryEscape(delimiter), url.QueryEscape(prefix))
							if got := listedNames(t, place, bucket, strings.TrimPrefix(query, "&")); !slices.Equal(got, want) {
								t.Errorf("state below %q, keys %q, %s: %q, want %q", name, keys, query, got, want)
							}
						}
					}
				}
			}
		}
	})
}

func TestAListingBelowTheProxysOwnObjectsIsEmptyOnEveryPage(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		s3test.BeginUploads(t, at.S3, bucket, 3, 1)
		s3test.MustPut(t, at.S3, "/"+bucket+"/x", []byte("x"))
		for _, prefix := range []string{".s3proxy/", ".s3proxy/u", ".s3proxy/uploads/"} {
			for _, kind := range []string{"list-type=2&", "", "versions=&"} {
				a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: kind + "max-keys=1&prefix=" + url.QueryEscape(prefix)}.Do(t, at.S3)
				if a.Status != 200 || !strings.Contains(string(a.Body), "<IsTruncated>false</IsTruncated>") || strings.Contains(string(a.Body), "<Key>") {
					t.Errorf("%s, prefix %s: %v, %s", kind, prefix, a, a.Body)
				}
			}
		}
	})
}

// The proxy leaves state objects out of a page, and asks the store for more entries in their place.
// MinIO begins the next page with the prefix with which the page before ended.
func TestACommonPrefixIsListedOnceOnAPage(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for _, key := range []string{"CAPS/and", "CAPS/are", "b", "ba"} {
			s3test.MustPut(t, at.S3, "/"+bucket+"/"+key, []byte("x"))
		}
		s3test.Begin(t, s3test.SDK(t, at.S3), bucket, "upload") // its state is one more state object
		for _, list := range []string{"versions", "list-type=2", "prefix="} {
			for most := 1; most <= 5; most++ {
				got := listedNames(t, at.S3, bucket, fmt.Sprintf("%s&delimiter=a&max-keys=%d", list, most))
				if want := []string{"CAPS/a", "b", "ba"}; !slices.Equal(got, want[:min(most, len(want))]) {
					t.Errorf("%s, at most %d: %q", list, most, got)
				}
			}
		}
	})
}

// versitygw does not count common prefixes; if it returns too many, the proxy cuts the page.
func TestAPageOfVersionsBehindAVersionMayHaveCommonPrefixesAlone(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := openVersioned(t, name).S3
			bucket := s3test.NewBucket(t, at)
			for _, key := range []string{"!first", "100/x", "CAPS/x"} {
				s3test.MustPut(t, at, "/"+bucket+"/"+key, []byte("x"))
			}
			got := listedNames(t, at, bucket, "versions&delimiter=%2F&max-keys=1&key-marker=%21first&version-id-marker=null")
			if len(got) == 0 || got[0] != "100/" {
				t.Errorf("%q", got)
			}
		})
	}
}

// MinIO finds nothing if it is asked for one entry after a folder that is also an object. The proxy
// must not ask like that for the entries missing on a page.
func TestNothingIsLostBehindAFolderAtTheEndOfAPage(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for _, key := range []string{"CAPS/x", "dir/x", "z"} {
			s3test.MustPut(t, at.S3, "/"+bucket+"/"+key, []byte("x"))
		}
		s3test.MustPut(t, at.S3, "/"+bucket+"/dir/", nil)
		for _, list := range []struct{ kind, cursor, next string }{
			{"list-type=2", "continuation-token", "NextContinuationToken"}, {"prefix=", "marker", "NextMarker"}, {"versions", "key-marker", "NextKeyMarker"},
		} {
			var got []string
			for query := list.kind; query != ""; {
				got = append(got, listedNames(t, at.S3, bucket, query+"&delimiter=%2F&max-keys=3")...)
				page := s3test.Call{Method: "GET", Path: "/" + bucket, Query: query + "&delimiter=%2F&max-keys=3"}.Do(t, at.S3)
				if query = ""; strings.Contains(string(page.Body), "<IsTruncated>true") {
					_, next, _ := strings.Cut(string(page.Body), "<"+list.next+">")
					next, _, _ = strings.Cut(next, "<")
					query = list.kind + "&" + list.cursor + "=" + url.QueryEscape(next)
				}
			}
			// versitygw lists the marker's version again.
			if want := []string{"CAPS/", "dir/", "z"}; !slices.Equal(slices.Compact(got), want) {
				t.Errorf("%s: %q", list.kind, got)
			}
		}
	})
}

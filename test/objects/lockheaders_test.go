package objects

import (
	"maps"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// versitygw refuses these headers before it has read the body, and its answer is lost when the
// connection is reset.
func TestObjectLockHeadersThatCannotHoldAreRefusedAsS3DoesWhateverTheStore(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := openVersioned(t, name).S3
			path := "/" + s3test.NewBucket(t, at) + "/k"
			if a := (s3test.Call{Method: "PUT", Path: path, Body: s3test.Content(1, 100)}).Do(t, at); a.Status != 200 {
				t.Fatal(a)
			}
			for what, lock := range map[string]map[string]string{
				"mode":                 {"x-amz-object-lock-mode": "NONSENSE", "x-amz-object-lock-retain-until-date": "2097-01-01T00:00:00Z"},
				"mode without a date":  {"x-amz-object-lock-mode": "GOVERNANCE"},
				"date without a mode":  {"x-amz-object-lock-retain-until-date": "2097-01-01T00:00:00Z"},
				"date that is none":    {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "tomorrow"},
				"date that has passed": {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2001-01-01T00:00:00Z"},
				"legal hold":           {"x-amz-object-lock-legal-hold": "NONSENSE"},
			} {
				copied := maps.Clone(lock)
				copied["x-amz-copy-source"] = path
				for _, c := range []s3test.Call{
					{Method: "PUT", Path: path, Headers: lock, Body: s3test.Content(2, 100)},
					{Method: "PUT", Path: path, Headers: lock, Body: s3test.Content(3, 3_000_000)},
					{Method: "PUT", Path: path + "-copy", Headers: copied},
					{Method: "POST", Path: path, Query: "uploads", Headers: lock},
				} {
					if a := c.Do(t, at); a.Status != 400 || a.Code != "InvalidArgument" {
						t.Errorf("%s: %s %s?%s of %d bytes: %v", what, c.Method, c.Path, c.Query, len(c.Body), a)
					}
				}
			}
		})
	}
}

// When the store's answer is lost, the proxy asks it for an upload with the same headers, to hear
// the refusal again.
func TestWhatVersitygwRefusesBeforeItHasReadTheBodyIsToldInItsWords(t *testing.T) {
	at := openVersioned(t, lab.OnVersitygw).S3
	path := "/" + s3test.NewBucket(t, at) + "/k"
	for what, headers := range map[string]map[string]string{
		"InvalidArgument": {"x-amz-tagging": "=x"},
		"InvalidRequest":  {"x-amz-object-lock-legal-hold": "ON"}, // the bucket has no object lock
	} {
		for range 5 {
			if a := (s3test.Call{Method: "PUT", Path: path, Headers: headers, Body: s3test.Content(1, 3_000_000)}).Do(t, at); a.Status != 400 || a.Code != what {
				t.Errorf("%v: %v", headers, a)
			}
		}
	}
	if a := (s3test.Call{Method: "GET", Path: path[:len(path)-2], Query: "uploads"}).Do(t, at); a.Status != 200 || strings.Contains(string(a.Body), "<Upload>") {
		t.Errorf("uploads left behind: %s", a.Body)
	}
}

package inplace

import (
	"net/http"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
)

func TestARetentionIsOverByTheStoresClock(t *testing.T) {
	const noon = "Thu, 26 Nov 2026 12:00:00 GMT"
	for name, c := range map[string]struct {
		mode, until, date string
		retained          bool
	}{
		"none":                       {"", "", noon, false},
		"in force":                   {"GOVERNANCE", "2026-11-26T12:00:01Z", noon, true},
		"with fractions":             {"COMPLIANCE", "2026-11-26T12:00:00.500Z", noon, true},
		"over":                       {"GOVERNANCE", "2026-11-26T11:59:59.000Z", noon, false},
		"ends now":                   {"GOVERNANCE", "2026-11-26T12:00:00Z", noon, false},
		"in force, by our clock":     {"GOVERNANCE", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "", true},
		"over, by our clock":         {"GOVERNANCE", "2001-01-01T00:00:00Z", "", false},
		"a date that we do not read": {"GOVERNANCE", "next week", noon, true},
	} {
		h := http.Header{}
		for name, v := range map[string]string{"X-Amz-Object-Lock-Mode": c.mode, "X-Amz-Object-Lock-Retain-Until-Date": c.until, "Date": c.date} {
			if v != "" {
				h.Set(name, v)
			}
		}
		s := &object.Stored{Header: h}
		if sent := preservedHeaders(s).Get("X-Amz-Object-Lock-Retain-Until-Date") != ""; s.Retained() != c.retained || s.Locked() != c.retained || sent != c.retained {
			t.Errorf("%s: retained %v, locked %v, sent %v", name, s.Retained(), s.Locked(), sent)
		}
	}
}

package proxy

import "testing"

func TestTheHostNamesTheBucketBelowADomain(t *testing.T) {
	t.Parallel()
	domains := []string{"s3.example.com", "Example.com", "example.org"}
	for host, want := range map[string]string{
		"b.s3.example.com":         "b",
		"B.S3.Example.Com:8080":    "b",
		"my.dotted.s3.example.com": "my.dotted",
		"b.s3.example.com.":        "b",
		"s3.example.com":           "",
		"s3.example.com:9000":      "",
		"example.com":              "",
		"b.example.com":            "b",
		"bs3.example.org":          "bs3",
		"badexample.org":           "",
		"127.0.0.1:8080":           "",
		"[::1]:8080":               "",
		"":                         "",
	} {
		if got := hostedBucket(host, domains); got != want {
			t.Errorf("%s: %q, not %q", host, got, want)
		}
	}
}

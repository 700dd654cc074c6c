package everyclient

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// notMinioGo are functions of minio-go's tests that fail, and why: at MinIO, and through the proxy.
var notMinioGo = map[string]map[string]string{
	"direct": {
		"minio-go: testListObjectsChecksums":            noNewChecksums,
		"minio-go: testPutMultipartObjectWithChecksums": noNewChecksums,
		"minio-go: testPutObjectWithChecksums":          noNewChecksums,
		"minio-go: testPutObjectWithTrailingChecksums":  noNewChecksums,
	},
	"proxy": {
		"minio-go: testCors_9_s3_processes_cors_rules_even_when_request_is_not_preflight_if_cors_headers_present_test_get": "it reads without a signature, by a bucket's policy: the proxy admits nobody without one",
		"minio-go: testListMultipartUpload":             "it wants uploads of the marker's own key; S3 lists those behind it",
		"minio-go: testListUnsorted":                    "metadata in lists is MinIO's own",
		"minio-go: testObjectAnnotations":               "annotations are refused",
		"minio-go: testPutMultipartObjectWithChecksums": "it wants the checksum of the whole from a copy; a copy of an object in parts keeps its parts and theirs",
		"minio-go: testTrailingChecksums":               "it wants a part's checksum where the object's is of the whole; S3 has none",
	},
}

const noNewChecksums = "this MinIO does not know MD5, SHA512 and XXHASH as checksums"

// runMinioGo runs all functions, and wants those to fail that are known to.
func runMinioGo(t *testing.T, p place) {
	// Those for keys of clients (SSE-C) are run over https only.
	env := p.env(t.TempDir(), "SERVER_ENDPOINT="+p.host(), "ACCESS_KEY="+p.AccessKey, "SECRET_KEY="+p.SecretKey, "ENABLE_HTTPS=0", "MINT_MODE=full", "RUN_ON_FAIL=1")
	out, err := lab.RunBoth(t, env, lab.MinioGoTests(t))
	if err != nil {
		t.Errorf("%.2000s", err)
	}
	passed, failed := map[string]bool{}, map[string]string{}
	for line := range strings.Lines(out) {
		var said struct{ Name, Status, Function, Message, Error string }
		if json.Unmarshal([]byte(line), &said) != nil {
			continue
		}
		switch said.Status {
		case "PASS":
			passed[said.Name] = true
		case "FAIL":
			failed[said.Name] = said.Function + ": " + said.Message + " " + said.Error
		}
	}
	known := notMinioGo["proxy"]
	if p.direct() {
		known = notMinioGo["direct"]
	}
	t.Logf("%d functions passed, %d failed", len(passed), len(failed))
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		if known[name] == "" {
			t.Errorf("%s: %s", name, failed[name])
		}
	}
	for name := range known {
		if failed[name] == "" {
			t.Errorf("%s no longer fails", name)
		}
	}
	if len(passed) < 70 {
		t.Errorf("only %d functions passed", len(passed))
	}
}

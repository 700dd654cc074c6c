package proxy

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/proxy/state"
)

func TestStateObjectsAreKnownUnderEverySpelling(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		".s3proxy/keys/x", ".s3proxy/", ".s3proxy", "/.s3proxy/keys/x", "//.s3proxy/x", "./.s3proxy/x", "a/../.s3proxy/x",
		".s3proxy//keys/x", ".//.s3proxy/./x", "../.s3proxy/x", ".S3Proxy/x", ".ſ3proxy/x", `.s3proxy\keys\x`, "a/b/../../.s3proxy/x",
	} {
		if !(state.Place{}).Owns(key) {
			t.Errorf("%q is not known as a state object", key)
		}
	}
	for _, key := range []string{"s3proxy/x", ".s3proxyx", "a/.s3proxy/x", ".s3proxy-keys", "x", "a/../b"} {
		if (state.Place{}).Owns(key) {
			t.Errorf("%q is taken for a state object", key)
		}
	}
}

func name(t *testing.T, method string, s scope, query string, header ...string) string {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	for _, n := range header {
		h.Set(n, "x")
	}
	op, err := nameOperation(method, s, q, h)
	if err != nil {
		return "refused"
	}
	return op.name
}

func TestARequestIsExactlyOneOperationOrRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		scope  scope
		query  string
		header []string
		want   string
	}{
		{"PUT", onObject, "", nil, "PutObject"},
		{"PUT", onObject, "x-id=PutObject", nil, "PutObject"},
		{"PUT", onObject, "", []string{"X-Amz-Copy-Source"}, "CopyObject"},
		{"PUT", onObject, "partNumber=1&uploadId=x", nil, "UploadPart"},
		{"PUT", onObject, "partNumber=1&uploadId=x", []string{"X-Amz-Copy-Source"}, "UploadPartCopy"},
		{"PUT", onObject, "acl", nil, "PutObjectAcl"},
		{"PUT", onObject, "acl&tagging", nil, "PutObjectAcl or refused"},
		{"PUT", onObject, "uploadId=x", nil, "refused"},
		{"PUT", onObject, "partNumber=1", nil, "refused"},
		{"PUT", onObject, "versionId=1", nil, "refused"},
		{"PUT", onObject, "surprise", nil, "refused"},
		{"PUT", onObject, "renameObject", nil, "RenameObject"},
		{"GET", onObject, "versionId=1&response-content-type=a&partNumber=2", nil, "GetObject"},
		{"GET", onObject, "torrent", nil, "GetObjectTorrent"},
		{"GET", onObject, "cache-buster=1", nil, "GetObject"},
		{"POST", onObject, "select=&select-type=2", nil, "SelectObjectContent"},
		{"GET", onBucket, "", nil, "ListObjects"},
		{"GET", onBucket, "list-type=2&prefix=a", nil, "ListObjectsV2"},
		{"GET", onBucket, "list-type=3", nil, "refused"},
		{"GET", onBucket, "versions", nil, "ListObjectVersions"},
		{"POST", onBucket, "delete", nil, "DeleteObjects"},
		{"POST", onBucket, "", nil, "PostObject"},
		{"DELETE", onBucket, "", nil, "DeleteBucket"},
		{"DELETE", onBucket, "policy", nil, "DeleteBucketPolicy"},
		{"DELETE", onBucket, "surprise", nil, "refused"},
		{"PATCH", onObject, "", nil, "refused"},
		{"GET", onService, "", nil, "ListBuckets"},
		{"PUT", onService, "", nil, "refused"},
	} {
		got := name(t, c.method, c.scope, c.query, c.header...)
		if got != c.want && !strings.Contains(c.want, got) {
			t.Errorf("%s %d ?%s: %s, want %s", c.method, c.scope, c.query, got, c.want)
		}
	}
}

func TestEveryOperationOfTheSDKHasARow(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{}
	for _, op := range operations() {
		rows[op.name] = true
	}
	client := reflect.TypeFor[*s3.Client]()
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Options" && !rows[name] {
			t.Errorf("%s has no row", name)
		}
	}
}

func TestNoOperationThatIsRefusedHasAHandlerAndEveryNameIsOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, op := range operations() {
		if (op.handle == nil) != (op.effect == refuses) {
			t.Errorf("%s: effect %q and handler do not agree", op.name, op.effect)
		}
		if seen[op.name] {
			t.Errorf("%s is there twice", op.name)
		}
		seen[op.name] = true
	}
}

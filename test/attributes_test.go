package test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestAFoldersAttributesHaveItsChecksum(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		path := "/" + newBucket(t, at.S3) + "/folder/"
		sum := sha256.Sum256(nil)
		encoded := base64.StdEncoding.EncodeToString(sum[:])
		if a := (call{method: "PUT", path: path, headers: map[string]string{"x-amz-checksum-sha256": encoded}}).do(t, at.S3); a.status != 200 {
			t.Fatal(a)
		}
		a := call{method: "GET", path: path, query: "attributes", headers: map[string]string{"x-amz-object-attributes": "Checksum,ObjectSize"}}.do(t, at.S3)
		if a.status != 200 || !strings.Contains(string(a.body), "<ChecksumSHA256>"+encoded+"</ChecksumSHA256>") {
			t.Errorf("%v: %s", a, a.body)
		}
	})
}

// The store gets a checksum of the ciphertext, by the algorithm that the client named.
func TestListsNameTheChecksumAlgorithmThatTheClientNamed(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw}, func(t *testing.T, at lab.Target) { // MinIO's lists name none
		bucket := newBucket(t, at.S3)
		sum := sha256.Sum256(content(1, 1000))
		if a := (call{method: "PUT", path: "/" + bucket + "/named", body: content(1, 1000), headers: map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum[:])}}).do(t, at.S3); a.status != 200 {
			t.Fatal(a)
		}
		for _, query := range []string{"", "list-type=2", "versions"} {
			a := call{method: "GET", path: "/" + bucket, query: query}.do(t, at.S3)
			if a.status != 200 || !strings.Contains(string(a.body), "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm>") {
				t.Errorf("?%s: %v: %s", query, a, a.body)
			}
		}
	})
}

func TestListsTellTheStoresChecksumOfPlaintextObjects(t *testing.T) {
	store := lab.SharedVersitygw(t)
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--allow-plaintext-reads", "--etag", mode}}).S3()
		bucket := newBucket(t, at)
		sum := map[string]string{"x-amz-checksum-crc32": crc32Of(content(1, 12_345))}
		for key, to := range map[string]lab.S3{"plain": store.S3(), "encrypted": at} {
			if a := (call{method: "PUT", path: "/" + bucket + "/" + key, body: content(1, 12_345), headers: sum}).do(t, to); a.status != 200 {
				t.Fatal(a)
			}
		}
		for _, query := range []string{"", "list-type=2", "versions"} {
			a := call{method: "GET", path: "/" + bucket, query: query}.do(t, at)
			_, plain, found := strings.Cut(string(a.body), "<Key>plain</Key>")
			if !found || strings.Count(string(a.body), "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>") != 2 || !strings.Contains(plain, "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>") {
				t.Errorf("--etag %s, ?%s: %v: %s", mode, query, a, a.body)
			}
			if mode == lab.ModeMD5 && strings.Count(string(a.body), strings.Trim(md5ETag(content(1, 12_345)), `"`)) != 2 {
				t.Errorf("?%s has not the MD5 of both: %s", query, a.body)
			}
		}
	}
}

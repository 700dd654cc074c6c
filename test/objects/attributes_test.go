package objects

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestAFoldersAttributesHaveItsChecksum(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		path := "/" + s3test.NewBucket(t, at.S3) + "/folder/"
		sum := sha256.Sum256(nil)
		encoded := base64.StdEncoding.EncodeToString(sum[:])
		if a := (s3test.Call{Method: "PUT", Path: path, Headers: map[string]string{"x-amz-checksum-sha256": encoded}}).Do(t, at.S3); a.Status != 200 {
			t.Fatal(a)
		}
		a := s3test.Call{Method: "GET", Path: path, Query: "attributes", Headers: map[string]string{"x-amz-object-attributes": "Checksum,ObjectSize"}}.Do(t, at.S3)
		if a.Status != 200 || !strings.Contains(string(a.Body), "<ChecksumSHA256>"+encoded+"</ChecksumSHA256>") {
			t.Errorf("%v: %s", a, a.Body)
		}
	})
}

// The store gets a checksum of the ciphertext, with the algorithm that the client named.
func TestListsNameTheChecksumAlgorithmThatTheClientNamed(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw}, func(t *testing.T, at lab.Target) { // MinIO's lists name no algorithm
		bucket := s3test.NewBucket(t, at.S3)
		sum := sha256.Sum256(s3test.Content(1, 1000))
		if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/named", Body: s3test.Content(1, 1000), Headers: map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum[:])}}).Do(t, at.S3); a.Status != 200 {
			t.Fatal(a)
		}
		for _, query := range []string{"", "list-type=2", "versions"} {
			a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: query}.Do(t, at.S3)
			if a.Status != 200 || !strings.Contains(string(a.Body), "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm>") {
				t.Errorf("?%s: %v: %s", query, a, a.Body)
			}
		}
	})
}

func TestListsTellTheStoresChecksumOfPlaintextObjects(t *testing.T) {
	store := lab.SharedVersitygw(t)
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--allow-plaintext-reads", "--etag", mode}}).S3()
		bucket := s3test.NewBucket(t, at)
		sum := map[string]string{"x-amz-checksum-crc32": s3test.CRC32Of(s3test.Content(1, 12_345))}
		for key, to := range map[string]lab.S3{"plain": store.S3(), "encrypted": at} {
			if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + key, Body: s3test.Content(1, 12_345), Headers: sum}).Do(t, to); a.Status != 200 {
				t.Fatal(a)
			}
		}
		for _, query := range []string{"", "list-type=2", "versions"} {
			a := s3test.Call{Method: "GET", Path: "/" + bucket, Query: query}.Do(t, at)
			_, plain, found := strings.Cut(string(a.Body), "<Key>plain</Key>")
			if !found || strings.Count(string(a.Body), "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>") != 2 || !strings.Contains(plain, "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>") {
				t.Errorf("--etag %s, ?%s: %v: %s", mode, query, a, a.Body)
			}
			if mode == lab.ModeMD5 && strings.Count(string(a.Body), strings.Trim(s3test.MD5ETag(s3test.Content(1, 12_345)), `"`)) != 2 {
				t.Errorf("?%s lacks the MD5 of both: %s", query, a.Body)
			}
		}
	}
}

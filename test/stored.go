package test

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
)

// operator is what the store's own operator can do behind the proxy's back: S3
// with the upstream credentials. For the embedded store it is a store of the
// same kind started on the same folder.
func operator(t *testing.T, at lab.Target, bucket string) lab.S3 {
	t.Helper()
	if at.Store != nil {
		return at.Store.S3()
	}
	root := ""
	filepath.WalkDir(at.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == bucket {
			root = filepath.Dir(path)
			return filepath.SkipAll
		}
		return nil
	})
	if root == "" {
		t.Fatalf("bucket %s is not below %s", bucket, at.Dir)
	}
	sidecar := filepath.Join(at.Dir, "metadata")
	if _, err := os.Stat(sidecar); err != nil {
		sidecar = ""
	}
	return lab.VersitygwAt(t, root, sidecar).S3()
}

// stored is an object as the store has it.
type stored struct {
	body []byte
	meta map[string]string // user metadata, lower-case names without x-amz-meta-
}

const userMetadata = "x-amz-meta-"

func rawGet(t *testing.T, at lab.S3, path string) stored {
	t.Helper()
	a := get(t, at, path)
	if a.status != http.StatusOK || a.err != nil {
		t.Fatalf("the operator's GET %s: %v", path, a)
	}
	s := stored{body: a.body, meta: map[string]string{}}
	for name, values := range a.header {
		if n, ok := strings.CutPrefix(strings.ToLower(name), userMetadata); ok {
			s.meta[n] = values[0]
		}
	}
	return s
}

func rawPut(t *testing.T, at lab.S3, path string, s stored) {
	t.Helper()
	headers := map[string]string{}
	for n, v := range s.meta {
		headers[userMetadata+n] = v
	}
	if a := (call{method: http.MethodPut, path: path, body: s.body, headers: headers}).do(t, at); a.status != http.StatusOK {
		t.Fatalf("the operator's PUT %s: %v", path, a)
	}
}

// with is a copy with other metadata in one place.
func (s stored) with(name, value string) stored {
	meta := maps.Clone(s.meta)
	meta[name] = value
	return stored{body: s.body, meta: meta}
}

func (s stored) without(name string) stored {
	meta := maps.Clone(s.meta)
	delete(meta, name)
	return stored{body: s.body, meta: meta}
}

// onlyWholeGoodSegments fails when more of the plaintext came than the segments
// before the damaged one, or when the transfer looks whole.
func onlyWholeGoodSegments(a answer, plaintext []byte, goodSegments int) error {
	const segment = 64 << 10
	if a.status == 0 || a.status >= 400 {
		return nil // an error's body is checked by its code
	}
	if a.err == nil {
		return fmt.Errorf("the transfer looks whole: %v", a)
	}
	if len(a.body) > goodSegments*segment {
		return fmt.Errorf("%d bytes came, only %d segments before were good", len(a.body), goodSegments)
	}
	if len(a.body)%segment != 0 {
		return fmt.Errorf("%d bytes came, which is no number of whole segments", len(a.body))
	}
	if string(a.body) != string(plaintext[:len(a.body)]) {
		return fmt.Errorf("what came is not how the plaintext begins")
	}
	return nil
}

const storedSegment = 64<<10 + 28

const tamperSize = 200_000 // four segments, the last one short

// records counts the window records in a bucket of a store.
func records(t *testing.T, store lab.S3, bucket string) int {
	t.Helper()
	list, err := sdk(t, store).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(".s3proxy/keys/")})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Contents)
}

// keysOf lists a bucket of a store.
func keysOf(t *testing.T, at lab.S3, bucket, prefix string) (keys []string) {
	t.Helper()
	list, err := sdk(t, at).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

const someKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

package s3test

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

// Operator is what the store's operator can use behind the proxy's back: S3 with the upstream
// credentials. For the embedded store it is a store of the same kind, started on the same folder.
func Operator(t *testing.T, at lab.Target, bucket string) lab.S3 {
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

// Stored is an object as the store holds it.
type Stored struct {
	Body []byte
	Meta map[string]string // user metadata, lower-case names without x-amz-meta-
}

const userMetadata = "x-amz-meta-"

// RawGet reads an object as the store holds it.
func RawGet(t *testing.T, at lab.S3, path string) Stored {
	t.Helper()
	a := Get(t, at, path)
	if a.Status != http.StatusOK || a.Err != nil {
		t.Fatalf("the operator's GET %s: %v", path, a)
	}
	s := Stored{Body: a.Body, Meta: map[string]string{}}
	for name, values := range a.Header {
		if n, ok := strings.CutPrefix(strings.ToLower(name), userMetadata); ok {
			s.Meta[n] = values[0]
		}
	}
	return s
}

// RawPut writes such an object to the store.
func RawPut(t *testing.T, at lab.S3, path string, s Stored) {
	t.Helper()
	headers := map[string]string{}
	for n, v := range s.Meta {
		headers[userMetadata+n] = v
	}
	if a := (Call{Method: http.MethodPut, Path: path, Body: s.Body, Headers: headers}).Do(t, at); a.Status != http.StatusOK {
		t.Fatalf("the operator's PUT %s: %v", path, a)
	}
}

// With returns a copy with one metadata field changed.
func (s Stored) With(name, value string) Stored {
	meta := maps.Clone(s.Meta)
	meta[name] = value
	return Stored{Body: s.Body, Meta: meta}
}

// Without returns a copy that lacks one metadata field.
func (s Stored) Without(name string) Stored {
	meta := maps.Clone(s.Meta)
	delete(meta, name)
	return Stored{Body: s.Body, Meta: meta}
}

// OnlyWholeGoodSegments fails if the answer has more of the plaintext than the segments before the
// damaged one, or if the transfer looks whole.
func OnlyWholeGoodSegments(a Answer, plaintext []byte, goodSegments int) error {
	const segment = 64 << 10
	if a.Status == 0 || a.Status >= 400 {
		return nil // an error's body is checked by its code
	}
	if a.Err == nil {
		return fmt.Errorf("the transfer looks whole: %v", a)
	}
	if len(a.Body) > goodSegments*segment {
		return fmt.Errorf("%d bytes came, but only the %d segments before were good", len(a.Body), goodSegments)
	}
	if len(a.Body)%segment != 0 {
		return fmt.Errorf("%d bytes came, which is not a whole number of segments", len(a.Body))
	}
	if string(a.Body) != string(plaintext[:len(a.Body)]) {
		return fmt.Errorf("what came is not the beginning of the plaintext")
	}
	return nil
}

// StoredSegment is the length of a full segment in the store, with IV and tag.
const StoredSegment = 64<<10 + 28

// TamperSize is the size of objects that tests damage.
const TamperSize = 200_000 // four segments, the last one short

// Records counts the window records in a bucket of a store.
func Records(t *testing.T, store lab.S3, bucket string) int {
	t.Helper()
	list, err := SDK(t, store).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(".s3proxy/keys/")})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Contents)
}

// KeysOf lists a bucket of a store.
func KeysOf(t *testing.T, at lab.S3, bucket, prefix string) (keys []string) {
	t.Helper()
	list, err := SDK(t, at).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// SomeKey is an AWS KMS key that a client may name.
const SomeKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

package keys

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The keyset rotates while a proxy serves and a client writes. Then the old version is destroyed,
// and everything still reads, although no object was touched.
func TestKeysRotateBesideAWriterAndTheOldVersionMayGo(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw(t)
			if name == lab.OnMinIO {
				store = lab.SharedMinIO(t)
			}
			keyset := "localfile://" + filepath.Join(t.TempDir(), "keyset.json")
			env := store.S3().Env()
			keys := func(args ...string) string {
				t.Helper()
				return lab.MustRun(t, env, lab.S3proxy(t), append([]string{"keys"}, append(args, "--kms", keyset, "--upstream", store.URL, "--data-dir", t.TempDir())...)...)
			}
			keys("create")
			old := regexp.MustCompile(`(?m)^(\d+) `).FindStringSubmatch(keys("list"))
			if old == nil {
				t.Fatal("keys list shows no version")
			}
			// Short windows: many records.
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", keyset, "--key-window-objects", "5"}})
			client, ctx := s3test.SDK(t, proxy.S3()), t.Context()
			bucket := s3test.NewBucket(t, proxy.S3())
			etags := map[string]string{}
			for i := range 60 {
				key := fmt.Sprintf("before-%03d", i)
				out, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(s3test.Content(uint64(i), 100+i))})
				if err != nil {
					t.Fatal(err)
				}
				etags[key] = aws.ToString(out.ETag)
			}
			var stop atomic.Bool
			var written atomic.Int64
			var group sync.WaitGroup
			group.Go(func() {
				for i := 0; !stop.Load(); i++ {
					key := fmt.Sprintf("during-%08d", i)
					if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(s3test.Content(uint64(i), 50))}); err != nil {
						t.Errorf("a write beside the rotation: %v", err)
						return
					}
					written.Add(1)
				}
			})
			out := keys("rotate", "--new-version", "--settle", "13s", "s3://"+bucket)
			stop.Store(true)
			group.Wait()
			if !strings.Contains(out, " 0 failed") {
				t.Errorf("keys rotate: %s", out)
			}
			if again := keys("rotate", "--settle", "0", "s3://"+bucket); !strings.Contains(again, ": 0 of ") {
				t.Errorf("a second run: %s", again)
			}
			t.Logf("%d writes beside it; %s", written.Load(), strings.TrimSpace(out))
			keys("destroy", old[1], "--yes")
			fresh := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", keyset}})
			reader := s3test.SDK(t, fresh.S3())
			for i := range 60 {
				key := fmt.Sprintf("before-%03d", i)
				s3test.WantObject(t, reader, bucket, key, s3test.Content(uint64(i), 100+i))
				head, err := reader.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
				if err != nil || aws.ToString(head.ETag) != etags[key] {
					t.Errorf("%s: ETag %s, before the rotation %s: %v", key, aws.ToString(head.ETag), etags[key], err)
				}
			}
			for i := int64(0); i < written.Load(); i += max(1, written.Load()/200) {
				s3test.WantObject(t, reader, bucket, fmt.Sprintf("during-%08d", i), s3test.Content(uint64(i), 50))
			}
		})
	}
}

// Command gocloud does what gocloud.dev/blob has with a bucket: writes, ranges, lists, copies,
// signed URLs.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob"
)

// Usage: gocloud URL BUCKET; the key comes from the environment.
func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, endpoint, name string) error {
	url := "s3://" + name + "?region=us-east-1&use_path_style=true&endpoint=" + endpoint
	if strings.HasPrefix(endpoint, "http://") {
		url += "&disable_https=true"
	}
	bucket, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return err
	}
	defer bucket.Close()
	body := make([]byte, 30_000_000)
	rand.NewChaCha8([32]byte{}).Read(body)
	for key, body := range map[string][]byte{"a/small": body[:3], "a/large": body, "a/empty": nil} {
		if err := bucket.WriteAll(ctx, key, body, &blob.WriterOptions{Metadata: map[string]string{"colour": "blue"}}); err != nil {
			return err
		}
		if got, err := bucket.ReadAll(ctx, key); err != nil || !bytes.Equal(got, body) {
			return fmt.Errorf("%s is read as %d bytes, %w", key, len(got), err)
		}
		if a, err := bucket.Attributes(ctx, key); err != nil || a.Size != int64(len(body)) || a.Metadata["colour"] != "blue" {
			return fmt.Errorf("%s has %+v, %w", key, a, err)
		}
	}
	reader, err := bucket.NewRangeReader(ctx, "a/large", 65530, 100_000, nil)
	if err != nil {
		return err
	}
	if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, body[65530:165530]) {
		return fmt.Errorf("a range is read as %d bytes, %w", len(got), err)
	}
	reader.Close()
	if err := bucket.Copy(ctx, "b", "a/large", nil); err != nil {
		return err
	}
	signed, err := bucket.SignedURL(ctx, "b", &blob.SignedURLOptions{Expiry: time.Minute})
	if err != nil {
		return err
	}
	resp, err := http.Get(signed)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
		return fmt.Errorf("the copy is read as %d bytes, %w", len(got), err)
	}
	sizes := int64(0)
	list := bucket.List(nil)
	for {
		object, err := list.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		sizes += object.Size
		if err := bucket.Delete(ctx, object.Key); err != nil {
			return err
		}
	}
	if sizes != 60_000_003 {
		return fmt.Errorf("it lists %d bytes", sizes)
	}
	return nil
}

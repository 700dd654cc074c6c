package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// Clients repeat nothing here: each request that fails is one that a real client would have seen.
func TestARollingRestartBehindHAProxyLosesNoRequest(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	restarts := 4
	if lab.Long {
		restarts = 10
	}
	c := lab.NewCluster(t, lab.ClusterOptions{Store: lab.SharedVersitygw(t), Balancer: "haproxy", Args: []string{"--shutdown-delay", "3s"}})
	bucket := lab.FreeName("rolling")
	var requests, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 8 {
		client := c.Client
		if i%2 == 1 {
			client = c.HTTP2
		}
		sdk := s3.New(s3test.HostedSDK(t, c.S3, client, c.URL).Options(), func(o *s3.Options) { o.UsePathStyle, o.Retryer = true, aws.NopRetryer{} })
		if i == 0 {
			if _, err := sdk.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
		}
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				requests.Add(2)
				if err := onceThere(sdk, bucket, fmt.Sprintf("k%d", i), uint64(i*1_000_000+n)); err != nil {
					failed.Add(1)
					t.Errorf("client %d, request %d: %v", i, n, err)
				}
			}
		})
	}
	var uploads atomic.Int64
	for i := range 6 { // longer than the delay, on all replicas: these are what drains
		clients.Go(func() {
			for ctx.Err() == nil {
				uploads.Add(1)
				if err := slowUpload(t, c, fmt.Sprintf("/%s/slow%d", bucket, i), 5*time.Second); err != nil {
					failed.Add(1)
					t.Error("a slow upload:", err)
				}
			}
		})
	}
	began := time.Now()
	for i := range restarts {
		r := c.Replicas[i%len(c.Replicas)]
		r.Term()
		if code, ok := r.Wait(lab.AnswerWithin); !ok || code != 0 {
			t.Fatalf("exit code %d, %v", code, ok)
		}
		if strings.Contains(r.Log(), "were cut") {
			t.Error("requests were cut")
		}
		r.Restart(t)
		awaitServing(t, r)
	}
	stop()
	clients.Wait()
	t.Logf("%d restarts in %v, %d requests and %d slow uploads, %d failed", restarts, time.Since(began).Round(time.Second), requests.Load(), uploads.Load(), failed.Load())
	if requests.Load() < 500 || uploads.Load() < 10 {
		t.Error("too little load to prove anything")
	}
}

// onceThere writes an object and reads it.
func onceThere(sdk *s3.Client, bucket, key string, seed uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), lab.AnswerWithin)
	defer cancel()
	size := []int{1000, 100_000, 2_000_000}[rand.IntN(3)]
	body := s3test.Content(seed, size)
	if _, err := sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		return err
	}
	out, err := sdk.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		return err
	}
	return s3test.SameBytes(got, body)
}

// slowUpload sends 4 MiB in so much time.
func slowUpload(t *testing.T, c *lab.Cluster, path string, takes time.Duration) error {
	body, writer := io.Pipe()
	const pieces = 20
	go func() {
		for i := range pieces {
			_, _ = io.CopyN(writer, s3test.Generator(uint64(i)), 4<<20/pieces)
			time.Sleep(takes / pieces)
		}
		writer.Close()
	}()
	resp, err := s3test.Call{Method: http.MethodPut, Path: path}.Streamed(t, c.S3, c.Client, body, 4<<20/pieces*pieces)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// awaitServing waits until the balancer sends requests to a replica again.
func awaitServing(t *testing.T, r *lab.Replica) {
	t.Helper()
	for deadline := time.Now().Add(lab.AnswerWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(r.Log(), "op=PutObject") {
			return
		}
	}
	t.Fatal("the balancer does not find the replica again")
}

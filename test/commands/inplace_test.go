package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// existing is an object, and what a client does to it while it is written again in place.
type existing struct {
	key  string
	body []byte
	in   s3.PutObjectInput

	change  string // made once by a client; "" for none
	changed atomic.Bool
	head    *s3.HeadObjectOutput
	tags    []types.Tag
}

// manyObjects is the number of small objects.
func manyObjects() int {
	if lab.Long {
		return 3000
	}
	return 240
}

// existing writes objects of all kinds; a client will change some of them later.
func (k *keyed) existing(client *s3.Client) (all []*existing) {
	t, ctx := k.t, k.t.Context()
	t.Helper()
	add := func(key string, body []byte, more func(in *s3.PutObjectInput)) *existing {
		o := &existing{key: key, body: body}
		o.in = s3.PutObjectInput{
			Bucket: &k.bucket, Key: &o.key, ContentType: aws.String("text/x-own"), CacheControl: aws.String("no-store"),
			Metadata: map[string]string{"color": "red"}, Tagging: aws.String(s3test.TwoTags),
		}
		if more != nil {
			more(&o.in)
		}
		all = append(all, o)
		return o
	}
	for i := range manyObjects() {
		o := add(fmt.Sprintf("many/%04d", i), s3test.Content(uint64(i), 100+37*i), nil)
		o.change = []string{"", "overwritten", "updated", "deleted"}[i%4]
	}
	add("empty", nil, nil)
	add("folder/", nil, nil)
	add("with blank & ünicode+%41", s3test.Content(1, 1000), nil)
	add("sha", s3test.Content(2, 100_000), func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 })
	add("crc32c", s3test.Content(3, 3*s3test.MiB), func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c })
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, o := range all {
		group.Go(func() error {
			in := o.in
			in.Body = bytes.NewReader(o.body)
			_, err := client.PutObject(ctx, &in)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{s3test.Content(4, 5*s3test.MiB), s3test.Content(5, 3*s3test.MiB)}
	upload := s3test.Begin(t, client, k.bucket, "parts")
	var sent []types.CompletedPart
	for i, body := range parts {
		part := upload.Send(client, int32(i+1), body)
		sent = append(sent, types.CompletedPart{PartNumber: part.PartNumber, ETag: part.ETag})
	}
	if _, err := upload.Complete(client, sent...); err != nil {
		t.Fatal(err)
	}
	all = append(all, &existing{key: "parts", body: bytes.Join(parts, nil)})
	for _, o := range all {
		o.head, o.tags = k.headAndTags(client, o.key)
	}
	return all
}

func (k *keyed) headAndTags(client *s3.Client, key string) (*s3.HeadObjectOutput, []types.Tag) {
	k.t.Helper()
	head, err := client.HeadObject(k.t.Context(), &s3.HeadObjectInput{Bucket: &k.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		k.t.Fatalf("HEAD %s: %v", key, err)
	}
	tags, err := client.GetObjectTagging(k.t.Context(), &s3.GetObjectTaggingInput{Bucket: &k.bucket, Key: &key})
	if err != nil {
		k.t.Fatalf("tags of %s: %v", key, err)
	}
	return head, tags.TagSet
}

const changedBody = "a client's own"

// changeBetween makes each planned change at the very moment when the command reads the object, or
// when it writes the object: after that request has begun, and before the store has it.
func changeBetween(t *testing.T, client *s3.Client, bucket string, all []*existing) func(*http.Request) {
	at := map[string]*existing{}
	for i, o := range all {
		if o.change != "" {
			at[[]string{"GET", "PUT"}[i/4%2]+" /"+bucket+"/"+o.key] = o
		}
	}
	return func(r *http.Request) {
		o := at[r.Method+" "+r.URL.Path]
		whole := r.Method == "PUT" || r.Header.Get("Range") != "" // a request for the content, not for tags or the ACL
		if o == nil || !whole || !o.changed.CompareAndSwap(false, true) {
			return
		}
		if err := o.doChange(t.Context(), client, bucket); err != nil {
			t.Errorf("%s, while it is %s: %v", o.key, o.change, err)
		}
	}
}

// killedTwice runs a command that writes all objects again in place, while clients read all of them
// and change some. The command is killed twice. It returns the output of the third run, and
// arguments for further runs.
func (k *keyed) killedTwice(client *s3.Client, all []*existing, args []string) (out string, code int, further []string) {
	t := k.t
	t.Helper()
	args = append(args, "--rate", fmt.Sprint(manyObjects()/2))
	stop := k.readMeanwhile(client, all)
	change := changeBetween(t, client, k.bucket, all)
	run := func(through *lab.Counted) *lab.Process {
		return lab.Start(t, args[0], lab.S3proxy(t), append(args, "--upstream", through.URL), k.store.S3().Env())
	}
	for range 2 {
		lab.KilledAt(t, k.store, manyObjects()/8, func(r *http.Request) bool {
			change(r)
			return lab.Replaces(r, k.bucket, "many/")
		}, run)
	}
	through := lab.Count(t, k.store)
	through.First = change
	args = append(args, "--upstream", through.URL)
	out, code = lab.Command(t, k.store, args...)
	stop()
	return out, code, args
}

// readMeanwhile reads the objects that nobody writes to, until the returned function is called.
func (k *keyed) readMeanwhile(client *s3.Client, all []*existing) (stop func()) {
	t := k.t
	var group sync.WaitGroup
	var ended atomic.Bool
	settled := slices.DeleteFunc(slices.Clone(all), func(o *existing) bool { return o.change != "" })
	for range 3 {
		group.Go(func() {
			for !ended.Load() {
				o := settled[rand.IntN(len(settled))]
				out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &k.bucket, Key: &o.key})
				if err != nil {
					t.Errorf("GET %s: %v", o.key, err)
					return
				}
				got, err := io.ReadAll(out.Body)
				out.Body.Close()
				if err == nil {
					err = s3test.SameBytes(got, o.body)
				}
				if err != nil {
					t.Errorf("GET %s: %v", o.key, err)
				}
			}
		})
	}
	return func() {
		ended.Store(true)
		group.Wait()
	}
}

func (o *existing) doChange(ctx context.Context, client *s3.Client, bucket string) error {
	var err error
	switch o.change {
	case "overwritten":
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &o.key, Body: strings.NewReader(changedBody)})
	case "updated":
		_, err = client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &o.key, CopySource: aws.String(bucket + "/" + o.key), MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"color": "blue"}})
	case "deleted":
		_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &o.key})
	}
	return err
}

// checkKept fails unless the object is as its last writer left it.
func (k *keyed) checkKept(client *s3.Client, o *existing) {
	t := k.t
	t.Helper()
	if o.change == "deleted" {
		if _, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &k.bucket, Key: &o.key}); s3test.Code(err) != "NotFound" {
			t.Errorf("%s, which a client deleted: %v", o.key, err)
		}
		return
	}
	want := o.body
	if o.change == "overwritten" {
		want = []byte(changedBody)
	}
	s3test.WantObject(t, client, k.bucket, o.key, want)
	head, tags := k.headAndTags(client, o.key)
	if o.change == "updated" && head.Metadata["color"] != "blue" {
		t.Errorf("%s: the client's metadata are lost: %v", o.key, head.Metadata)
	}
	if o.change != "" {
		return
	}
	shown := func(h *s3.HeadObjectOutput, tags []types.Tag) string {
		etag := aws.ToString(h.ETag)
		if strings.Contains(etag, "-") || strings.Contains(aws.ToString(o.head.ETag), "-") {
			etag = "" // the object was uploaded in parts
		}
		return fmt.Sprint(etag, aws.ToInt64(h.ContentLength), h.Metadata, aws.ToString(h.ContentType), aws.ToString(h.CacheControl), s3test.Tagged(tags),
			aws.ToString(h.ChecksumCRC32C), aws.ToString(h.ChecksumSHA256))
	}
	if got, before := shown(head, tags), shown(o.head, o.tags); got != before {
		t.Errorf("%s: now %s\nbefore %s", o.key, got, before)
	}
	if o.key != "parts" && aws.ToString(head.ChecksumCRC32) != aws.ToString(o.head.ChecksumCRC32) {
		t.Errorf("%s: CRC32 %s, before %s", o.key, aws.ToString(head.ChecksumCRC32), aws.ToString(o.head.ChecksumCRC32))
	}
}

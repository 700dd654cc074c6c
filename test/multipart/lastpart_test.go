package multipart

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The store's upload does not contain part 10,000, and versitygw and AWS list whole seconds.
func TestPart10000IsTheSendingThatWasAcknowledgedLastHoweverFastTheyFollow(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client := s3test.SDK(t, at.S3)
		bucket := s3test.NewBucket(t, at.S3)
		m := s3test.Begin(t, client, bucket, "k")
		var before types.CompletedPart
		for size := 101; size <= 110; size++ {
			last := m.Send(client, 10000, s3test.Content(uint64(size), size))
			list, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &m.Key, UploadId: &m.ID})
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Parts) != 1 || *list.Parts[0].Size != int64(size) || *list.Parts[0].ETag != *last.ETag {
				t.Errorf("after a sending of %d bytes: %d parts, the first of %d bytes", size, len(list.Parts), *list.Parts[0].Size)
			}
			if before.ETag != nil {
				if _, err := m.Complete(client, before); s3test.Code(err) != "InvalidPart" {
					t.Errorf("completed of a sending before the last: %v", err)
				}
			}
			before = last
		}
		if _, err := m.Complete(client, before); err != nil {
			t.Fatal(err)
		}
		s3test.WantObject(t, client, bucket, m.Key, s3test.Content(110, 110))
	})
}

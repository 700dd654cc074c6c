package s3test

import (
	"bytes"
	"context"
	"crypto/md5"
	"io"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

// SealMultipart returns the metadata and stored bytes of an object that a client uploaded in parts,
// as docs/FORMAT.md defines them; withMD5 says whether the parts' MD5s are known.
func SealMultipart(t *testing.T, keyset, bucket, key string, sizes []int, plain []byte, withMD5 bool) (map[string]string, []byte) {
	t.Helper()
	kek, err := localfile.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := kms.NewKeyring(kms.Config{Write: kek}) // window 0: no record is needed
	if err != nil {
		t.Fatal(err)
	}
	dek, meta, err := ring.NewKey(context.Background(), kms.Name{Bucket: bucket, Key: key, Kind: envelope.KindMultipart})
	if err != nil {
		t.Fatal(err)
	}
	trailer := &envelope.Trailer{
		Kind: envelope.KindMultipart, UploadHash: envelope.UploadHash("upload"), Size: int64(len(plain)),
		Facts: envelope.Facts{Checksum: envelope.Checksum{Algorithm: envelope.CRC32, Type: envelope.Composite, Value: []byte{1, 2, 3, 4}}},
	}
	var body bytes.Buffer
	for i, size := range sizes {
		part := envelope.Part{Number: 2*i + 1, Size: int64(size), ID: envelope.NewPartID()}
		if _, err := io.Copy(&body, dek.SealPart(envelope.KindMultipart, part, bytes.NewReader(plain[:size]))); err != nil {
			t.Fatal(err)
		}
		if withMD5 {
			sum := md5.Sum(plain[:size])
			part.MD5 = sum[:]
		}
		plain = plain[size:]
		trailer.Parts = append(trailer.Parts, part)
	}
	end, err := dek.SealTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	body.Write(end)
	if meta.Facts, err = dek.SealFacts(envelope.KindMultipart, 0, envelope.Facts{}); err != nil {
		t.Fatal(err)
	}
	fields, err := meta.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return fields, body.Bytes()
}

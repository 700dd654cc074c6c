package kms

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/s3proxy/s3proxy/envelope"
)

// Name is what the key of an object is bound to. The key does not open under any other name,
// so that the store can neither exchange two objects nor relabel one.
type Name struct {
	Bucket, Key string
	Kind        envelope.Kind
	// UploadID is set only for the state object of a multipart upload. The object's own
	// metadata is written before the store has given the id.
	UploadID string
}

// windowContext is the associated data of a data key under a window key. It contains the KEK's name
// and the window's id, so that nobody can exchange them in the metadata: if the record opens the
// window, nothing else would notice.
func (n Name) windowContext(m *envelope.Metadata) Context {
	c := Context{
		"bucket": n.Bucket,
		"key":    n.Key,
		"format": "1",
		"kind":   n.Kind.String(),
		"kek":    m.KEK,
		"window": hex.EncodeToString(m.WindowID()),
	}
	if n.UploadID != "" {
		c["upload"] = n.UploadID
	}
	return c
}

// kekContext is the context of a data key that the KEK itself wraps. A KMS logs it, so it contains
// only hashes of the names that clients chose.
func (n Name) kekContext() Context {
	c := Context{
		"bucket":     n.Bucket,
		"key-sha256": hexSHA256(n.Key),
		"format":     "1",
		"kind":       n.Kind.String(),
	}
	if n.UploadID != "" {
		c["upload-sha256"] = hexSHA256(n.UploadID)
	}
	return c
}

// bucketContext is the context of a window key as stored in metadata.
func bucketContext(bucket string) Context {
	return Context{"bucket": bucket}
}

// recordContext is the context of a window key in a rewrapped record. It contains the id, so
// that the store cannot exchange two records.
func recordContext(bucket, id string) Context {
	return Context{"bucket": bucket, "id": id}
}

// contextOfRecord is what the blob in a record is bound to. At first a record holds the
// metadata's own form, to which the hash in its name binds it as tightly as a context would.
// Once rewrapped, it has the context of a record.
func contextOfRecord(bucket, id string, blob []byte) Context {
	if hex.EncodeToString(envelope.WindowID(blob)) == id {
		return bucketContext(bucket)
	}
	return recordContext(bucket, id)
}

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

package inplace

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// plaintext is an object as its client sent it.
type plaintext struct {
	kind     envelope.Kind
	parts    []envelope.Part // of a multipart upload
	checksum envelope.Checksum
}

// Decrypt is a change for Renew that replaces an object by its plaintext, as its client would have
// written it without a proxy: by one PUT or in the same parts, so that the store's ETag becomes
// that of S3 without encryption, and with the checksum that the client gave. The plaintext does not
// become the object before all of it has authenticated, including the end. Decrypt fails with
// envelope.ErrNotEncrypted for plaintext.
func (r *Renewer) Decrypt(n *Renewal) error {
	if n.Meta == nil {
		return envelope.ErrNotEncrypted
	}
	kind, dek, trailer, stored := n.Meta.Kind, n.DEK, n.trailer, n.Stored
	layout := envelope.SingleLayout(0)
	n.Meta, n.plain, n.Length = nil, &plaintext{kind: kind, checksum: n.facts.Checksum}, 0
	if trailer != nil {
		layout, n.Length = object.LayoutOf(trailer), trailer.Size
		n.plain.parts, n.plain.checksum = trailer.Parts, trailer.Facts.Checksum
	}
	n.Body = func(old io.Reader) io.Reader { return dek.OpenObject(kind, layout, stored, trailer, old) }
	return nil
}

// writePlain writes the plaintext in body, whose last byte comes only after all of it has
// authenticated.
func (src *Source) writePlain(ctx context.Context, n *Renewal, body io.Reader) error {
	switch {
	case n.plain.kind == envelope.KindMultipart:
		return src.writeParts(ctx, n, body)
	case n.Length > src.Limits.CopyObject: // an object encrypted in place may be larger than one PUT
		return src.writePieces(ctx, n, body)
	}
	sum := keptChecksum(n.plain.checksum)
	if n.Length == 0 { // nothing to stream
		if err := object.ConfirmEnd(body); err != nil {
			return err
		}
		if sum != nil {
			n.Header.Set(sum.Header, base64.StdEncoding.EncodeToString(n.plain.checksum.Value))
		}
	}
	_, _, err := src.writeOver(ctx, n.Header, body, n.Length, sum)
	return err
}

// writeParts sends an upload's parts as its client did.
func (src *Source) writeParts(ctx context.Context, n *Renewal, body io.Reader) error {
	sum := n.plain.partChecksums()
	if sum.Algorithm != envelope.NoChecksum {
		n.Header.Set("X-Amz-Checksum-Algorithm", checksum.AlgorithmName(sum.Algorithm))
		n.Header.Set("X-Amz-Checksum-Type", checksum.TypeName(sum.Type))
	}
	u := src.upload()
	_, _, err := u.InParts(ctx, n.Header, func(list *s3xml.CompleteUpload) error {
		for i, part := range n.plain.parts {
			etag, err := object.PutPart(ctx, u, i+1, body, part.Size, keptChecksum(sum))
			if err != nil {
				return fmt.Errorf("write part %d: %w", part.Number, err)
			}
			list.Add(i+1, etag)
			if part.Checksum.Algorithm == sum.Algorithm {
				checksum.SetElement(&list.Parts[i].Checksums, part.Checksum, 0)
			}
		}
		return object.ConfirmEnd(body)
	})
	return src.whyBrokenInPlace(ctx, n.Header, err)
}

// partChecksums is the checksum that a multipart object can have in the store; the zero value if
// one of its parts lacks a checksum.
func (p *plaintext) partChecksums() envelope.Checksum {
	if keptChecksum(p.checksum) == nil {
		return envelope.Checksum{}
	}
	for _, part := range p.parts {
		if part.Checksum.Algorithm != p.checksum.Algorithm {
			return envelope.Checksum{}
		}
	}
	return p.checksum
}

// keptChecksum makes the store verify a body with the algorithm of c, and keep the value. It is nil
// for algorithms that only some stores support.
func keptChecksum(c envelope.Checksum) *upstream.Checksum {
	switch c.Algorithm {
	case envelope.CRC32, envelope.CRC32C, envelope.CRC64NVME, envelope.SHA1, envelope.SHA256:
		return &upstream.Checksum{Header: checksum.Header(c.Algorithm), Hash: checksum.New(c.Algorithm)}
	}
	return nil
}

// writePieces streams a large body in pieces that are parts only for the store.
func (src *Source) writePieces(ctx context.Context, n *Renewal, body io.Reader) error {
	resp, err := object.PutInParts(ctx, src.upload(), n.Header, body, n.Length, src.Limits.CopyPart)
	if err != nil {
		return src.whyBrokenInPlace(ctx, n.Header, err)
	}
	return resp.Body.Close()
}

// upload returns an upload that replaces the object if the recheck finds it as it was read.
func (src *Source) upload() *upstream.Upload {
	return &upstream.Upload{Client: src.Upstream, Bucket: src.Bucket, Key: src.Key, BeforeEnd: src.Recheck}
}

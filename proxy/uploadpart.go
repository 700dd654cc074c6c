package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// uploadPart streams a part: verify -> decode -> check -> seal -> send. The
// client's 200 follows only after the part's record is stored, so that Complete
// knows every part that a client knows of.
func uploadPart(x *exchange) error {
	body, err := x.auth.Body(x.r)
	if err != nil {
		return err
	}
	if err := checkPartSize(x.part, body.Length); err != nil {
		return err
	}
	promised, err := checksum.ReadDeclared(x.r.Header, body.PromisedTrailers(), x.auth.Presigned)
	if err != nil {
		return err
	}
	u, err := x.openUpload(x.r.Context())
	if err != nil {
		return err
	}
	defer u.close()
	if err := u.demand(promised); err != nil {
		return err
	}
	plain := checksum.NewReader(x.timeoutReader(body), body, promised)
	record, err := x.sendPart(u, x.part, body.Length, plain)
	if err := x.uploadFailure(plain, err); err != nil {
		x.forgetEnded(u, err)
		return err
	}
	h := x.w.Header()
	x.passRequestID(http.Header{})
	h["ETag"] = []string{u.partETag(record.Part)}
	x.tellEncryption(h, x.ETag == object.ETagMD5, nil)
	checksum.SetHeader(h, envelope.Checksum{Algorithm: plain.Facts().Checksum.Algorithm, Value: plain.Facts().Checksum.Value}, 0)
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

// forgetEnded drops what is cached of an upload that the store no longer has.
func (x *exchange) forgetEnded(u *upload, err error) {
	if errors.Is(err, s3err.NoSuchUpload) {
		x.uploads.lru.Remove(uploadName{u.Bucket, u.Key, u.ID})
	}
}

// maxTrailer is more than any trailer has; a part that is sent again with the
// trailer behind it must leave room for it.
const maxTrailer = 2 << 20

// checkPartSize refuses a part whose ciphertext the store could not take.
func checkPartSize(number int, size int64) error {
	limit := int64(maxPutSize)
	if number == envelope.MaxParts {
		limit -= maxTrailer
	}
	switch {
	case size < 0:
		return s3err.MissingContentLength
	case envelope.StoredPartSize(size) > limit:
		most := (limit/(envelope.SegmentSize+envelope.SegmentOverhead))*envelope.SegmentSize - envelope.SegmentSize
		return s3err.EntityTooLarge.WithMessage("Encrypted, this part passes the 5 GiB that a part may have; use parts of at most %d bytes.", most).
			With(s3err.Field{Name: "ProposedSize", Value: fmt.Sprint(size)}, s3err.Field{Name: "MaxSizeAllowed", Value: fmt.Sprint(most)})
	}
	return nil
}

// demand sets which checksums are computed of a part: the client's, and the one
// that the object's is made of. CRC64NVME is S3's where the client named none.
func (u *upload) demand(p *checksum.Declared) error {
	p.WantsMD5 = u.options.MD5
	wanted := u.options.Checksum
	switch {
	case wanted == envelope.NoChecksum:
		if p.Algorithm != envelope.CRC64NVME {
			p.Also = envelope.CRC64NVME
		}
	case p.Given() && p.Algorithm != wanted:
		return errOtherChecksum(wanted, p.Algorithm.String())
	case !p.Given() && u.options.Type == envelope.Composite:
		return errOtherChecksum(wanted, "null")
	default:
		p.Algorithm = wanted
	}
	return nil
}

func errOtherChecksum(expected envelope.Algorithm, actual string) error {
	return s3err.InvalidRequest.WithMessage("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", expected, actual)
}

// sendPart seals a part of exactly size bytes and stores it with its record: only when
// the whole body was verified, whatever the store has answered by then.
//
// Three kinds of part. One of 5 MiB and more streams into the store's upload. A
// smaller one, which S3 allows only as the last, is kept as its record's body too:
// Complete sends it again with the trailer behind it. Number 10,000 is not sent to
// the upload, for that number is the trailer's.
func (x *exchange) sendPart(u *upload, number int, size int64, plain *checksum.Reader) (envelope.Record, error) {
	ctx := x.r.Context()
	r := envelope.Record{Part: envelope.Part{Number: number, Size: size, ID: envelope.NewPartID()}}
	sealed := u.dek.SealPart(envelope.KindMultipart, r.Part, plain)
	defer sealed.Close()
	stored := envelope.StoredPartSize(size)
	var kept *spooledBody
	var err error
	switch {
	case number == envelope.MaxParts:
		r.ETag = idETag(r.Part.ID) // the store's upload has none
		err = u.putState(ctx, bodyPrefix+hex.EncodeToString(r.Part.ID[:]), &upstream.Request{Body: sealed, Length: stored})
	case size < envelope.MinPartSize:
		if kept, err = x.spool(sealed, stored); err != nil {
			return r, err
		}
		defer kept.release()
		r.ETag, err = u.Part(ctx, number, kept.request())
	default:
		r.ETag, err = u.Part(ctx, number, &upstream.Request{Body: sealed, Length: stored})
	}
	if err != nil {
		return r, during(stepSendPart, err)
	}
	if err := plain.Whole(); err != nil {
		return r, during(stepSendPart, err)
	}
	f := plain.PartFacts()
	r.Part.MD5, r.Part.Checksum = f.MD5, envelope.Checksum{Algorithm: f.Checksum.Algorithm, Value: f.Checksum.Value}
	if err := u.putRecord(ctx, r, kept); err != nil {
		return r, during(stepPutRecord, err)
	}
	return r, nil
}

// putRecord stores what Complete must know of a part as the name of an object.
// kept, if not nil, is its body.
func (u *upload) putRecord(ctx context.Context, r envelope.Record, kept *spooledBody) error {
	name, err := u.dek.SealRecord(u.hash, r)
	if errors.Is(err, envelope.ErrLayout) && !u.options.MD5 {
		// A long checksum beside a long ETag: the MD5 is not needed here.
		r.Part.MD5 = nil
		name, err = u.dek.SealRecord(u.hash, r)
	}
	if err != nil {
		return err
	}
	req := &upstream.Request{}
	if kept != nil {
		req = kept.request()
	}
	return u.putState(ctx, name, req)
}

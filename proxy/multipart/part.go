package multipart

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// maxTrailer is larger than any trailer. A part that is sent again with the trailer after it must
// leave room for that.
const maxTrailer = 2 << 20

// maxPartSize is the largest part that S3 takes: 5 GiB.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const maxPartSize = 5 << 30

// CheckPartSize refuses a part if the store could not take the ciphertext for so many bytes of
// plaintext.
func CheckPartSize(number int, size int64) error {
	limit := int64(maxPartSize)
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

// Demand sets the checksums to compute for a part sent by a client: the one that the client
// declares, and the one from which the object's is made, by default CRC64NVME. It refuses a part
// whose declared checksum does not fit the upload.
func (u *Upload) Demand(p *checksum.Declared) error {
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

// Declared returns the checksums to compute for a part that is copied.
func (u *Upload) Declared() *checksum.Declared {
	p := &checksum.Declared{Algorithm: u.options.Checksum, WantsMD5: u.options.MD5}
	if p.Algorithm == envelope.NoChecksum {
		p.Algorithm = envelope.CRC64NVME
	}
	return p
}

// SendPart seals a part of exactly size bytes, sends it and stores its record. It stores the record
// only after the whole body was verified, whatever the store has answered by then.
//
// There are three kinds of parts. One of 5 MiB or more streams into the store's upload. A smaller
// one, which S3 allows only as the last, is also kept as the body of its record: Complete sends it
// again with the trailer behind it. Part 10,000 is not sent to the store's upload, because the
// trailer needs that number.
func (u *Upload) SendPart(ctx context.Context, number int, size int64, plain *checksum.Reader) (_ envelope.Part, err error) {
	defer func() { u.all.forgetEnded(u.name(), err) }()
	r := envelope.Record{Part: envelope.Part{Number: number, Size: size, ID: envelope.NewPartID()}}
	sealed := u.dek.SealPart(envelope.KindMultipart, r.Part, plain)
	defer sealed.Close()
	sealed.ReadAhead()
	stored := envelope.StoredPartSize(size)
	var kept *spooledBody
	var before []partRecord
	switch {
	case number == envelope.MaxParts:
		if before, err = u.lastPart(ctx); err != nil {
			break
		}
		r.ETag = idETag(r.Part.ID) // the part is not in the store's upload
		err = u.putState(ctx, bodyOf(r.Part), &upstream.Request{Body: sealed, Length: stored})
	case size < envelope.MinPartSize:
		if kept, err = u.all.spool(sealed, stored); err != nil {
			return r.Part, err
		}
		defer kept.release()
		r.ETag, err = u.store.Part(ctx, number, kept.request())
	default:
		r.ETag, err = u.store.Part(ctx, number, &upstream.Request{Body: sealed, Length: stored})
	}
	if err != nil {
		return r.Part, during(stepSendPart, err)
	}
	if err := plain.Whole(); err != nil {
		return r.Part, during(stepSendPart, err)
	}
	f := plain.PartFacts()
	r.Part.MD5, r.Part.Checksum = f.MD5, envelope.Checksum{Algorithm: f.Checksum.Algorithm, Value: f.Checksum.Value}
	if err := u.putRecord(ctx, r, kept); err != nil {
		return r.Part, during(stepPutRecord, err)
	}
	return r.Part, u.replaced(ctx, before)
}

// lastPart returns the records of part 10,000.
func (u *Upload) lastPart(ctx context.Context) ([]partRecord, error) {
	records, _, err := u.records(ctx, recordSpans([]partRange{{envelope.MaxParts, envelope.MaxParts}}))
	return records[envelope.MaxParts], err
}

// replaced removes the sendings of part 10,000 that existed when another one began. Later, nobody
// could tell which of them is the part: it is not in the store's upload, and many stores list dates
// in whole seconds. Concurrent sendings do not remove each other.
func (u *Upload) replaced(ctx context.Context, sendings []partRecord) error {
	stateBucket, folder := u.folder()
	for _, r := range sendings {
		for _, name := range []string{r.name, bodyOf(r.Part)} {
			if err := u.State().Remove(ctx, stateBucket, folder+name); err != nil && !errors.Is(err, state.ErrLocked) {
				return fmt.Errorf("remove an earlier sending of the part: %w", err)
			}
		}
	}
	return nil
}

// bodyOf is the name of the object with the body of a sending of part 10,000.
func bodyOf(p envelope.Part) string { return bodyPrefix + hex.EncodeToString(p.ID[:]) }

// putRecord stores what Complete must know about a part as the name of an object. kept, if not nil,
// is the object's body.
func (u *Upload) putRecord(ctx context.Context, r envelope.Record, kept *spooledBody) error {
	name, err := u.dek.SealRecord(u.hash, r)
	if errors.Is(err, envelope.ErrLayout) && !u.options.MD5 {
		// A long checksum and a long ETag leave no room for the MD5, which is not needed here.
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

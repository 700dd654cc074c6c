package proxy

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// choose checks the client's list against the parts that are there. All sizes are
// of the plaintext.
func (c *completion) choose(sent *sentParts) ([]partRecord, error) {
	if c.kind != envelope.NoType && c.kind != c.u.options.Type {
		mode := typeName(c.u.options.Type)
		if mode == "" {
			mode = "null"
		}
		return nil, s3err.InvalidRequest.WithMessage("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", mode)
	}
	var chosen []partRecord
	before := 0
	for i, asked := range c.asked {
		if asked.PartNumber == nil || asked.ETag == nil {
			return nil, s3err.MalformedXML
		}
		number := *asked.PartNumber
		if number < 1 {
			return nil, s3err.InvalidArgument.WithMessage("PartNumber must be >= 1").Argument("PartNumber", strconv.Itoa(number))
		}
		if number <= before {
			return nil, s3err.InvalidPartOrder
		}
		before = number
		p, ok := c.find(sent.parts[number], *asked.ETag)
		if !ok {
			return nil, c.invalidPart(asked)
		}
		if i < len(c.asked)-1 && p.Part.Size < envelope.MinPartSize {
			return nil, s3err.EntityTooSmall.With(
				s3err.Field{Name: "ProposedSize", Value: strconv.FormatInt(p.Part.Size, 10)}, s3err.Field{Name: "MinSizeAllowed", Value: strconv.Itoa(envelope.MinPartSize)},
				s3err.Field{Name: "PartNumber", Value: strconv.Itoa(number)}, s3err.Field{Name: "ETag", Value: strings.Trim(*asked.ETag, `"`)})
		}
		if err := c.checkPart(asked, p); err != nil {
			return nil, err
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

func (c *completion) invalidPart(asked completedPart) error {
	return s3err.InvalidPart.With(
		s3err.Field{Name: "UploadId", Value: c.u.id.String()}, s3err.Field{Name: "PartNumber", Value: strconv.Itoa(*asked.PartNumber)},
		s3err.Field{Name: "ETag", Value: strings.Trim(*asked.ETag, `"`)})
}

// find gives the sending of a part that the client names by its ETag. A store that puts
// another one together makes an object that does not authenticate.
func (c *completion) find(sendings []partRecord, etag string) (partRecord, bool) {
	for _, p := range sendings {
		if c.u.options.MD5 && isMD5Of(etag, p.Part) || !c.u.options.MD5 && isETagOf(etag, p.Part.ID) {
			return p, true
		}
	}
	return partRecord{}, false
}

// checkPart compares the checksum that the client names for a part.
func (c *completion) checkPart(asked completedPart, p partRecord) error {
	given := asked.given()
	if len(given) > 1 {
		return errPartChecksum.Argument("Checksum", *asked.of(given[0]))
	}
	wanted := c.u.options.Checksum
	if len(given) == 0 {
		if wanted != envelope.NoChecksum {
			return s3err.InvalidRequest.WithMessage("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", strings.ToLower(wanted.String()), p.Part.Number)
		}
		return nil
	}
	a := given[0]
	value := asked.value(a)
	switch {
	case value == nil:
		return errPartChecksum.Argument("Checksum", *asked.of(a))
	case a == p.Part.Checksum.Algorithm:
		if !bytes.Equal(value, p.Part.Checksum.Value) {
			return c.invalidPart(asked)
		}
	case wanted != envelope.NoChecksum:
		return s3err.BadDigest.WithMessage("The %s you specified for part %d did not match what we received.", strings.ToLower(a.String()), p.Part.Number)
	}
	return nil
}

var errPartChecksum = s3err.InvalidArgument.WithMessage("Invalid Base64 or multiple checksums present in request")

// trailer is what proves that the object has these parts and no others.
func (c *completion) trailer(parts []partRecord) (*envelope.Trailer, error) {
	t := &envelope.Trailer{Kind: envelope.KindMultipart, UploadHash: c.u.hash}
	for _, p := range parts {
		t.Parts = append(t.Parts, p.Part)
		t.Size += p.Part.Size
	}
	if c.size >= 0 && c.size != t.Size {
		return nil, s3err.InvalidRequest.WithMessage("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", c.size, t.Size)
	}
	t.Facts.Checksum = objectChecksum(c.u.options, t.Parts)
	if want := c.digest; want.Algorithm != envelope.NoChecksum && c.u.options.Checksum != envelope.NoChecksum {
		if want.Algorithm != c.u.options.Checksum || !bytes.Equal(want.Value, t.Facts.Checksum.Value) {
			return nil, s3err.BadDigest.WithMessage("The %s you specified did not match the calculated checksum.", want.Algorithm)
		}
	}
	return t, nil
}

// objectChecksum is the checksum of an object from those of its parts, none where a
// part has another algorithm.
func objectChecksum(o envelope.Upload, parts []envelope.Part) envelope.Checksum {
	c := envelope.Checksum{Algorithm: o.Checksum, Type: o.Type}
	if o.Checksum == envelope.NoChecksum {
		c = envelope.Checksum{Algorithm: envelope.CRC64NVME, Type: envelope.FullObject}
	}
	composite := algorithms[c.Algorithm]()
	var crc uint64
	for i, p := range parts {
		if p.Checksum.Algorithm != c.Algorithm {
			return envelope.Checksum{}
		}
		composite.Write(p.Checksum.Value)
		if c.Type == envelope.FullObject {
			value := binary.BigEndian.Uint64(append(make([]byte, 8-len(p.Checksum.Value)), p.Checksum.Value...))
			if i == 0 {
				crc = value
			} else {
				crc = combineCRC(c.Algorithm, crc, value, p.Size)
			}
		}
	}
	c.Value = composite.Sum(nil)
	if c.Type == envelope.FullObject {
		c.Value = binary.BigEndian.AppendUint64(nil, crc)[8-c.Algorithm.Size():]
	}
	return c
}

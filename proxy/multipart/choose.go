package multipart

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// CheckList refuses a list that fits no upload, whatever was sent. It applies to every bucket,
// before a store sees the list.
func CheckList(l s3xml.CompletedParts) *s3err.Error {
	before := s3xml.PartNumber(0)
	for _, asked := range l {
		if asked.PartNumber == nil || asked.ETag == nil {
			return s3err.MalformedXML
		}
		number := *asked.PartNumber
		switch {
		case number < 1:
			return s3err.InvalidArgument.WithMessage("PartNumber must be >= 1").Argument("PartNumber", strconv.Itoa(int(number)))
		case number <= before:
			return s3err.InvalidPartOrder
		case number > envelope.MaxParts:
			return errNoPart(asked)
		}
		before = number
		if given := checksum.Given(&asked.Checksums); len(given) > 1 || len(given) == 1 && checksum.Value(&asked.Checksums, given[0]) == nil {
			return errPartChecksum.Argument("Checksum", *checksum.Element(&asked.Checksums, given[0]))
		}
	}
	return nil
}

// ranges are the parts in the list, combined into few ranges: parts between two near ones are
// included.
func (c *completion) ranges() (all []partRange) {
	for _, asked := range c.wanted.Parts {
		number := int(*asked.PartNumber)
		if n := len(all); n > 0 && number-all[n-1].last <= c.all.Page {
			all[n-1].last = number
		} else {
			all = append(all, partRange{number, number})
		}
	}
	return all
}

// choose checks the client's list against the parts that exist. All sizes are of the plaintext.
func (c *completion) choose(sent *sentParts) ([]partRecord, error) {
	if c.wanted.Type != envelope.NoType && c.wanted.Type != c.options.Type {
		mode := checksum.TypeName(c.options.Type)
		if mode == "" {
			mode = "null"
		}
		return nil, s3err.InvalidRequest.WithMessage("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", mode)
	}
	var chosen []partRecord
	for i, asked := range c.wanted.Parts {
		number := int(*asked.PartNumber)
		p, ok := c.find(sent.parts[number], *asked.ETag)
		if !ok {
			return nil, c.invalidPart(asked)
		}
		if i < len(c.wanted.Parts)-1 && p.Part.Size < envelope.MinPartSize {
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

func (c *completion) invalidPart(asked s3xml.CompletedPart) error {
	return errNoPart(asked).With(s3err.Field{Name: "UploadId", Value: c.ID().String()})
}

func errNoPart(asked s3xml.CompletedPart) *s3err.Error {
	return s3err.InvalidPart.With(
		s3err.Field{Name: "PartNumber", Value: strconv.Itoa(int(*asked.PartNumber))}, s3err.Field{Name: "ETag", Value: strings.Trim(*asked.ETag, `"`)})
}

// find returns the sending of a part that the client names by its ETag. If a store combines another
// sending, the object does not authenticate.
func (c *completion) find(sendings []partRecord, etag string) (partRecord, bool) {
	for _, p := range sendings {
		if c.options.MD5 && isMD5Of(etag, p.Part) || !c.options.MD5 && isETagOf(etag, p.Part.ID) {
			return p, true
		}
	}
	return partRecord{}, false
}

// checkPart compares the checksum that the client names for a part.
func (c *completion) checkPart(asked s3xml.CompletedPart, p partRecord) error {
	given := checksum.Given(&asked.Checksums)
	wanted := c.options.Checksum
	if len(given) == 0 {
		if wanted != envelope.NoChecksum {
			return s3err.InvalidRequest.WithMessage("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", strings.ToLower(wanted.String()), p.Part.Number)
		}
		return nil
	}
	a := given[0]
	switch {
	case a == p.Part.Checksum.Algorithm:
		if !bytes.Equal(checksum.Value(&asked.Checksums, a), p.Part.Checksum.Value) {
			return c.invalidPart(asked)
		}
	case wanted != envelope.NoChecksum:
		return s3err.BadDigest.WithMessage("The %s you specified for part %d did not match what we received.", strings.ToLower(a.String()), p.Part.Number)
	}
	return nil
}

var errPartChecksum = s3err.InvalidArgument.WithMessage("Invalid Base64 or multiple checksums present in request")

// trailer proves that the object has these parts and no others.
func (c *completion) trailer(parts []partRecord) (*envelope.Trailer, error) {
	t := &envelope.Trailer{Kind: envelope.KindMultipart, UploadHash: c.hash}
	for _, p := range parts {
		t.Parts = append(t.Parts, p.Part)
		t.Size += p.Part.Size
	}
	if c.wanted.Size >= 0 && c.wanted.Size != t.Size {
		return nil, s3err.InvalidRequest.WithMessage("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", c.wanted.Size, t.Size)
	}
	t.Facts.Checksum = checksum.OfParts(c.options, t.Parts)
	if want := c.wanted.Checksum; want.Algorithm != envelope.NoChecksum && c.options.Checksum != envelope.NoChecksum {
		if want.Algorithm != c.options.Checksum || !bytes.Equal(want.Value, t.Facts.Checksum.Value) {
			return nil, s3err.BadDigest.WithMessage("The %s you specified did not match the calculated checksum.", want.Algorithm)
		}
	}
	return t, nil
}

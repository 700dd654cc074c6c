package proxy

import (
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// A part number is read here, and goes to the store as it was understood: what one store refuses,
// another may take for a number.

// readPart reads partNumber, if the request has one.
func (x *clientRequest) readPart() error {
	text, given := x.query["partNumber"]
	if !given || !x.op.takes("partNumber") {
		return nil
	}
	n, err := s3xml.ParsePartNumber(text[0])
	if err != nil || n < 1 || n > envelope.MaxParts {
		return errPartNumber.Argument("partNumber", text[0])
	}
	x.part = int(n)
	return nil
}

var errPartNumber = s3err.InvalidArgument.WithMessage("Part number must be an integer between 1 and 10000, inclusive.")

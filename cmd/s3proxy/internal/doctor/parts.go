package doctor

import (
	"context"
	"errors"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// mostParts is how many parts an upload may have in S3.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const mostParts = 10_000

// multipartLimits looks whether the store takes S3's last part number, and parts of less than
// 5 MiB before the last one.
func (b *Bucket) multipartLimits(ctx context.Context) Finding {
	key := b.key("multipart-limits")
	if err := b.inParts(ctx, key, http.Header{}, mostParts); err != nil {
		return failed("use no uploads of so many parts: let clients send larger ones", "it does not take an upload whose part has the number %d: %s", mostParts, oneLine(err))
	}
	switch err := b.inParts(ctx, key, http.Header{}, 1, 2); {
	case err == nil:
		return well("it takes part numbers up to %d, and parts of any size", mostParts)
	case errors.Is(err, s3err.EntityTooSmall):
		return well("it takes part numbers up to %d, and refuses parts of less than 5 MiB before the last one, as S3 does", mostParts)
	default:
		return failed(b.do(ctx, err), "an upload of two parts fails: %s", oneLine(err))
	}
}

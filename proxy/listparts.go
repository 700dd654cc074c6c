package proxy

import (
	"net/url"
	"strconv"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// listParts shows the parts as clients know them: with plaintext sizes and the ETags that they
// were given.
func listParts(x *exchange) error {
	ctx := x.r.Context()
	marker, most, err := x.partPaging()
	if err != nil {
		return err
	}
	u, err := x.proxy.uploads.Open(ctx, x.target(), x.uploadID)
	if err != nil {
		return err
	}
	defer u.Close()
	page, err := u.ListParts(ctx, marker, most, x.passedHeaders())
	if err != nil {
		return err
	}
	list, sum := page.List, u.Checksum()
	out := s3xml.ListParts{
		Xmlns: s3xml.Namespace, Bucket: x.bucket.String(), Key: s3xml.Text(x.key.String()), UploadID: u.ID().String(), PartNumberMarker: marker, MaxParts: most, IsTruncated: page.More && most > 0,
		Initiator: list.Initiator, Owner: list.Owner, StorageClass: list.StorageClass,
		ChecksumAlgorithm: checksum.AlgorithmName(sum.Algorithm), ChecksumType: checksum.TypeName(sum.Type),
	}
	if sum.Algorithm == envelope.NoChecksum {
		out.ChecksumAlgorithm, out.ChecksumType = "null", "null" // S3's words
	}
	for _, p := range page.Parts {
		part := s3xml.ListedPart{PartNumber: p.Number, LastModified: p.LastModified, ETag: u.PartETag(p.Part), Size: p.Size}
		if sum.Algorithm != envelope.NoChecksum {
			checksum.SetElement(&part.Checksums, p.Checksum, 0)
		}
		out.Parts = append(out.Parts, part)
		out.NextPartNumberMarker = p.Number
	}
	x.passHeaders(page.Header)
	return x.answerXML(&out)
}

// partPaging reads part-number-marker and max-parts. The store refuses, with its own text, what
// S3 refuses.
func (x *exchange) partPaging() (marker, most int, err error) {
	most = s3xml.MaxEntries
	for name, value := range map[string]*int{"part-number-marker": &marker, "max-parts": &most} {
		text, given := x.query[name]
		if !given || text[0] == "" {
			continue
		}
		n, err := strconv.ParseInt(text[0], 10, 32)
		if err != nil || n < 0 {
			return 0, 0, x.refusedByStore(x.passedQuery(), s3err.InvalidArgument.WithMessage("Provided %s not an integer or within integer range", name).Argument(name, text[0]))
		}
		*value = int(n)
	}
	return marker, min(most, s3xml.MaxEntries), nil
}

// refusedByStore sends a request that has to be refused, for the store's error. If the store
// accepts it, the error is ours.
func (x *exchange) refusedByStore(q url.Values, ours *s3err.Error) error {
	req := x.request()
	req.Query = q
	resp, err := x.Upstream.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	return ours
}

package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// ofOurCredentials are the codes by which a store judges the signature or the
// credentials of a request. On one that the proxy signed they are about the
// proxy, and their fields have its access key and its canonical request.
var ofOurCredentials = []*s3err.Error{
	s3err.SignatureDoesNotMatch, s3err.InvalidAccessKeyId, s3err.AuthorizationHeaderMalformed,
	s3err.RequestTimeTooSkewed, s3err.ExpiredToken, s3err.InvalidToken, {Code: "XAdminUserNotFound"}, // versitygw's
}

// shownFields are the elements of a store's error that a client may see. Others
// are of the ciphertext, of the proxy's own request, or, as a redirect's
// Endpoint, would lead clients past the proxy.
var shownFields = []string{
	"ArgumentName", "ArgumentValue", "BucketName", "Condition", "Key", "Method", "MaxSizeAllowed",
	"RequestId", "HostId", "Resource", "ResourceType", "UploadId", "VersionId",
}

// refusal is a store's answer that is no success. Its status, code and message
// are the store's, unless they are about the proxy and not about the client.
func refusal(resp *http.Response, signed bool) *s3err.Error {
	e := s3err.FromResponse(resp)
	switch {
	case resp.StatusCode != http.StatusNotModified && (resp.StatusCode < 400 || resp.StatusCode > 599):
		// A client that followed a redirect would take its plaintext past us.
		return s3err.InternalError.WithMessage("The store redirects or answers with a status that S3 does not have; the proxy's settings --upstream and --upstream-region need a look.").Because(e)
	case signed && slices.ContainsFunc(ofOurCredentials, func(o *s3err.Error) bool { return errors.Is(e, o) }):
		// The cause names the code alone: the text may hold a session token.
		code := errors.New(e.Code)
		if errors.Is(e, s3err.SignatureDoesNotMatch) {
			code = errOurSignature
		}
		return s3err.InternalError.WithMessage("The store does not accept the credentials of the proxy.").Because(fmt.Errorf("the store answers %w to the proxy's own credentials", code))
	}
	e.Header = resp.Header.Clone()
	e.Header.Del("X-Amz-Bucket-Region") // the store's, where clients sign for ours
	e.Fields = slices.DeleteFunc(e.Fields, func(f s3err.Field) bool { return !slices.Contains(shownFields, f.Name) })
	return e
}

package proxy

import (
	"context"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// getList asks the store for a document with keys. One with a key that XML 1.0 has no place
// for cannot be parsed; then it is asked for again with encoding-type=url.
func getList[T any, P interface {
	*T
	s3xml.Keyed
}](ctx context.Context, o *objects, req upstream.Request) (P, http.Header, error) {
	page := P(new(T))
	header, err := o.getXML(ctx, &req, page)
	if !errors.As(err, new(*xml.SyntaxError)) {
		return page, header, err
	}
	req.Query = maps.Clone(req.Query)
	req.Query.Set("encoding-type", "url")
	page = new(T)
	if header, err = o.getXML(ctx, &req, page); err == nil && *page.Encoding() == "url" {
		err = s3xml.DecodeTexts(page)
	}
	return page, header, err
}

// hideUpload takes away the store's checksum of an object that came in parts.
func hideUpload(etag string, algorithm *[]string, kind *string) {
	if strings.Contains(etag, "-") {
		*algorithm, *kind = nil, ""
	}
}

// longDocument is one that a store may send longer than S3's are. It keeps no more of it
// than the query asks for.
type longDocument interface{ Asked(url.Values) }

package upstream

import (
	"context"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// List asks the store for a document with keys. One with a key that XML 1.0 has no place
// for cannot be parsed; then it is asked for again with encoding-type=url.
func List[T any, P interface {
	*T
	s3xml.Keyed
}](ctx context.Context, c *Client, req Request) (P, http.Header, error) {
	page := P(new(T))
	header, err := c.GetXML(ctx, &req, page)
	if !errors.As(err, new(*xml.SyntaxError)) {
		return page, header, err
	}
	req.Query = maps.Clone(req.Query)
	req.Query.Set("encoding-type", "url")
	page = new(T)
	if header, err = c.GetXML(ctx, &req, page); err == nil && *page.Encoding() == "url" {
		err = s3xml.DecodeTexts(page)
	}
	return page, header, err
}

// ListAny lists up to limit entries behind a key, all versions of them
// where the store can list these; at has the bucket.
func (c *Client) ListAny(ctx context.Context, at Request, prefix, after string, limit int) (*s3xml.AnyList, error) {
	at.Query = url.Values{"versions": {""}}
	page, err := c.listBehind(ctx, at, "key-marker", prefix, after, limit)
	if errors.Is(err, s3err.NotImplemented) || err == nil && len(page.Entries()) == 0 {
		return c.ListCurrent(ctx, at, prefix, after, limit)
	}
	return page, err
}

// ListCurrent is ListAny without old versions.
func (c *Client) ListCurrent(ctx context.Context, at Request, prefix, after string, limit int) (*s3xml.AnyList, error) {
	at.Query = url.Values{"list-type": {"2"}}
	return c.listBehind(ctx, at, "start-after", prefix, after, limit)
}

func (c *Client) listBehind(ctx context.Context, at Request, cursor, prefix, after string, limit int) (*s3xml.AnyList, error) {
	at.Query.Set("prefix", prefix)
	at.Query.Set("max-keys", strconv.Itoa(limit))
	if after != "" {
		at.Query.Set(cursor, after)
	}
	page, _, err := List[s3xml.AnyList](ctx, c, at)
	return page, err
}

package inplace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// grantHeaders are the headers by which a write sets the grants of an ACL.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
var grantHeaders = map[string]string{
	"FULL_CONTROL": "X-Amz-Grant-Full-Control",
	"READ":         "X-Amz-Grant-Read",
	"READ_ACP":     "X-Amz-Grant-Read-Acp",
	"WRITE_ACP":    "X-Amz-Grant-Write-Acp",
}

// noACLs reports whether a store's refusal to return an ACL means that it does not have any:
// versitygw answers NotImplemented. MinIO returns one that lists only the owner.
func noACLs(err error) bool {
	switch status, refused := upstream.Status(err); {
	case !refused:
		return false
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return true
	}
	return errors.Is(err, s3err.AccessControlListNotSupported)
}

// grants adds to h the grants of the object's ACL, except the owner's full control, which every
// write grants anyway. It fails if the proxy may not read the ACL, which would otherwise be lost.
func (src *Source) grants(ctx context.Context, h http.Header) error {
	type grantee struct {
		ID  string `xml:"ID"`
		URI string `xml:"URI"`
	}
	var acl struct {
		Owner  grantee `xml:"Owner"`
		Grants s3xml.Bounded[struct {
			Grantee    grantee `xml:"Grantee"`
			Permission string  `xml:"Permission"`
		}] `xml:"AccessControlList>Grant"`
	}
	_, err := src.Upstream.GetXML(ctx, &upstream.Request{Bucket: src.Bucket, Key: src.Key, VersionID: src.Version, Query: url.Values{"acl": {""}}, Unsigned: src.Unsigned}, &acl)
	if noACLs(err) {
		return nil
	}
	if status, refused := upstream.Status(err); refused && status == http.StatusForbidden {
		return fmt.Errorf("read the object's ACL, which would be lost: the right s3:GetObjectAcl is missing (MinIO asks for s3:GetBucketPolicy instead): %w", err)
	}
	if err != nil {
		return fmt.Errorf("read the object's ACL: %w", err)
	}
	more := false
	named := map[string][]string{}
	for _, g := range acl.Grants {
		name, known := grantHeaders[g.Permission]
		to := fmt.Sprintf("id=%q", g.Grantee.ID)
		if g.Grantee.URI != "" {
			to = fmt.Sprintf("uri=%q", g.Grantee.URI)
		}
		if !known || strings.ContainsAny(g.Grantee.ID+g.Grantee.URI, "\"\\\r\n") {
			return fmt.Errorf("%w: an ACL that grants %q", upstream.ErrStored, g.Permission)
		}
		more = more || g.Permission != "FULL_CONTROL" || g.Grantee != acl.Owner
		named[name] = append(named[name], to)
	}
	if !more {
		return nil
	}
	for name, to := range named {
		slices.Sort(to)
		h.Set(name, strings.Join(to, ", "))
	}
	return nil
}

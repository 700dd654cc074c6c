package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// Deletion is one object of a list, with its key and version checked.
type Deletion struct {
	Key        s3name.Key
	Version    s3name.VersionID
	Conditions s3xml.ObjectToDelete // conditions as the client gave them
}

// Deletions are what one DeleteObjects asks for: at most 1,000.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
type Deletions struct {
	Quiet   bool
	Objects []Deletion
}

// DeleteObjects sends a DeleteObjects; header may be nil.
func (c *Client) DeleteObjects(ctx context.Context, bucket s3name.Bucket, list Deletions, header http.Header, unsigned bool, result *s3xml.DeleteResult) (http.Header, error) {
	out := s3xml.DeleteObjects{Xmlns: s3xml.Namespace, Quiet: list.Quiet}
	for _, d := range list.Objects {
		entry := d.Conditions
		entry.Key, entry.VersionID = s3xml.Text(d.Key.String()), d.Version.String()
		out.Objects = append(out.Objects, entry)
	}
	doc, err := s3xml.Marshal(&out)
	if err != nil {
		return nil, fmt.Errorf("write the list of keys: %w", err)
	}
	h := http.Header{}
	maps.Copy(h, header)
	h.Set("Content-Md5", ContentMD5(doc))
	h.Set("Content-Type", "application/xml")
	return c.GetXML(ctx, &Request{
		Method: http.MethodPost, Bucket: bucket, Query: url.Values{"delete": {""}}, Header: h, Bytes: doc, Unsigned: unsigned,
	}, result)
}

// SpeaksOfLock tells from a store's words whether it refuses because of a retention or a legal hold. AWS and versitygw say AccessDenied, MinIO InvalidRequest, with these words.
func SpeaksOfLock(message string) bool {
	text := strings.ToLower(message)
	return strings.Contains(text, "object lock") || strings.Contains(text, "worm")
}

// MayBeLocked tells whether a store's refusal may be for a retention.
func MayBeLocked(err error) bool {
	var e *s3err.Error
	return errors.Is(err, s3err.AccessDenied) || errors.As(err, &e) && SpeaksOfLock(e.Message)
}

// BypassRetention is the header with which a retention of GOVERNANCE holds nobody who may
// bypass it.
const BypassRetention = "X-Amz-Bypass-Governance-Retention"

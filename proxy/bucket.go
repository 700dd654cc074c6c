package proxy

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// forward sends a request without a body on as its row allows, and the store's
// answer back as it is.
func forward(x *exchange) error {
	resp, err := x.upstream.Do(x.r.Context(), &upstream.Request{
		Method: x.r.Method, Bucket: x.bucket, Key: x.key, Query: x.passedQuery(), Header: x.passedHeaders(), Unsigned: x.unsigned(),
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passRequestID(resp.Header)
	h := x.w.Header()
	for _, name := range []string{"Content-Type", "Content-Length"} {
		if v := resp.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	x.w.WriteHeader(resp.StatusCode)
	_, err = io.Copy(x.w, resp.Body)
	return err
}

// noRegion is how S3 writes us-east-1 in a location constraint: not at all.
const noRegion = "us-east-1"

type createBucketRequest struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	Xmlns              string   `xml:"xmlns,attr,omitempty"`
	LocationConstraint string   `xml:"LocationConstraint,omitempty"`
	Rest               []byte   `xml:",innerxml"`
}

// createBucket sends the request on; a location that is the proxy's own region
// becomes the store's.
func createBucket(x *exchange) error {
	body, err := x.readDocument(1 << 20)
	if err != nil {
		return err
	}
	if len(body) > 0 && x.cfg.Region != x.upstream.Region() {
		var conf createBucketRequest
		if err := xml.Unmarshal(body, &conf); err != nil {
			return s3err.MalformedXML.Because(err)
		}
		if conf.LocationConstraint == x.cfg.Region {
			if body, err = locationDocument(x.upstream.Region()); err != nil {
				return err
			}
		}
	}
	h := x.passedHeaders()
	req := &upstream.Request{Method: http.MethodPut, Bucket: x.bucket, Header: h, Unsigned: x.unsigned()}
	if len(body) > 0 {
		h.Set("Content-Type", "application/xml")
		req.Bytes = body
	}
	resp, err := x.upstream.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passRequestID(resp.Header)
	x.w.Header().Set("Location", "/"+x.bucket)
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

func locationDocument(region string) ([]byte, error) {
	if region == noRegion {
		return nil, nil
	}
	return xml.Marshal(createBucketRequest{Xmlns: s3Namespace, LocationConstraint: region})
}

// headBucket answers with the region that clients sign for here.
func headBucket(x *exchange) error {
	resp, err := x.upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passRequestID(resp.Header)
	h := x.w.Header()
	h.Set("X-Amz-Bucket-Region", x.cfg.Region)
	if v := resp.Header.Get("X-Amz-Access-Point-Alias"); v != "" {
		h.Set("X-Amz-Access-Point-Alias", v)
	}
	h.Set("Content-Type", "application/xml")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

type locationResult struct {
	XMLName xml.Name `xml:"LocationConstraint"`
	Xmlns   string   `xml:"xmlns,attr"`
	Region  string   `xml:",chardata"`
}

// getBucketLocation asks the store whether the bucket is there and may be
// asked about; the region is the proxy's, for that is what clients must sign for.
func getBucketLocation(x *exchange) error {
	resp, err := x.upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: x.passedQuery(), Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	resp.Body.Close()
	x.passRequestID(resp.Header)
	region := x.cfg.Region
	if region == noRegion {
		region = ""
	}
	return x.answerXML(locationResult{Xmlns: s3Namespace, Region: region})
}

// deleteBucket deletes a bucket in which only our own objects are left, and
// these with it. A bucket that the store then refuses to delete gets its
// records back: objects that came meanwhile may need them.
func deleteBucket(x *exchange) error {
	ctx := x.r.Context()
	var removed []stateObject
	lonely, err := x.onlyState(ctx)
	if err != nil {
		return err
	}
	if lonely {
		if removed, err = x.removeState(ctx); err != nil {
			x.restoreState(removed)
			return err
		}
	}
	resp, err := x.upstream.Do(ctx, &upstream.Request{Method: http.MethodDelete, Bucket: x.bucket, Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		if status, refused := refusedWith(err); !refused || status != http.StatusNotFound {
			x.restoreState(removed)
		}
		return err
	}
	resp.Body.Close()
	x.keyring.ForgetBucket(x.bucket)
	x.passRequestID(resp.Header)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// onlyState tells whether the bucket holds our own objects and no others.
func (x *exchange) onlyState(ctx context.Context) (bool, error) {
	first, err := x.firstKey(ctx, "")
	if err != nil || !strings.HasPrefix(first, statePrefix) {
		return false, err
	}
	behind, err := x.firstKey(ctx, pastState)
	return behind == "", err
}

func (x *exchange) firstKey(ctx context.Context, after string) (string, error) {
	q := url.Values{"list-type": {"2"}, "max-keys": {"1"}}
	if after != "" {
		q.Set("start-after", after)
	}
	resp, err := x.upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: q, Unsigned: x.unsigned()})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var page listResult
	if err := xml.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&page); err != nil {
		return "", fmt.Errorf("the store's listing: %w", err)
	}
	if len(page.Contents) == 0 {
		return "", nil
	}
	return string(page.Contents[0].Key), nil
}

// stateObject is one version of one of our own objects. body is kept of
// window records only, to put them back.
type stateObject struct {
	key, version string
	body         []byte
}

type versionsResult struct {
	Versions    []versionEntry `xml:"Version"`
	Markers     []versionEntry `xml:"DeleteMarker"`
	Contents    []versionEntry `xml:"Contents"`
	IsTruncated bool           `xml:"IsTruncated"`
}

type versionEntry struct {
	Key       string `xml:"Key"`
	VersionID string `xml:"VersionId"`
}

// removeState deletes our own objects, by version where the store has
// versions. It gives those that it deleted, also with an error.
func (x *exchange) removeState(ctx context.Context) (removed []stateObject, err error) {
	for range maxStatePages {
		page, err := x.stateVersions(ctx)
		if err != nil {
			return removed, err
		}
		entries := append(append(page.Versions, page.Markers...), page.Contents...)
		if len(entries) == 0 {
			return removed, nil
		}
		for _, e := range entries {
			o := stateObject{key: e.Key, version: e.VersionID}
			if !strings.HasPrefix(o.key, statePrefix) {
				return removed, fmt.Errorf("the store lists %q under the prefix %q", o.key, statePrefix)
			}
			if id, ok := strings.CutPrefix(e.Key, RecordPrefix); ok {
				if body, err := (Records{x.upstream}).GetRecord(ctx, x.bucket, id); err == nil {
					o.body = body
				}
			}
			q := url.Values{}
			if o.version != "" {
				q.Set("versionId", o.version)
			}
			resp, err := x.upstream.Do(ctx, &upstream.Request{Method: http.MethodDelete, Bucket: x.bucket, Key: o.key, Query: q, Unsigned: x.unsigned()})
			if err != nil {
				return removed, fmt.Errorf("delete %s: %w", o.key, err)
			}
			resp.Body.Close()
			removed = append(removed, o)
		}
	}
	return removed, errors.New("the store goes on listing what was deleted")
}

// maxStatePages bounds the work of one DeleteBucket: a million state objects.
const maxStatePages = 1000

// stateVersions lists a page of our own objects, all versions where the store
// can list them.
func (x *exchange) stateVersions(ctx context.Context) (*versionsResult, error) {
	list := func(q url.Values) (*versionsResult, error) {
		q.Set("prefix", statePrefix)
		resp, err := x.upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: q, Unsigned: x.unsigned()})
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		page := &versionsResult{}
		return page, xml.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(page)
	}
	page, err := list(url.Values{"versions": {""}})
	if errors.Is(err, s3err.NotImplemented) || err == nil && len(page.Versions)+len(page.Markers) == 0 {
		return list(url.Values{"list-type": {"2"}})
	}
	return page, err
}

// restoreState puts records back; the client may be gone by then.
func (x *exchange) restoreState(removed []stateObject) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), time.Minute)
	defer cancel()
	for _, o := range removed {
		if o.body == nil {
			continue
		}
		if err := (Records{x.upstream}).PutRecord(ctx, x.bucket, strings.TrimPrefix(o.key, RecordPrefix), o.body); err != nil {
			x.log.Error("a window record could not be put back after a refused DeleteBucket", "bucket", x.bucket, "record", o.key, "error", err)
		}
	}
}

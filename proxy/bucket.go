package proxy

import (
	"cmp"
	"encoding/xml"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

type createBucketRequest struct {
	XMLName            xml.Name       `xml:"CreateBucketConfiguration"`
	Xmlns              string         `xml:"xmlns,attr,omitempty"`
	LocationConstraint string         `xml:"LocationConstraint,omitempty"`
	Tags               *newBucketTags `xml:"Tags,omitempty"`
	// Others are elements that only the store can judge: the place of a directory bucket.
	Others []struct{} `xml:",any"`
}

type newBucketTags struct {
	Tag s3xml.Bounded[struct{ Key, Value string }] `xml:"Tag"`
}

// shownRegion is the region that clients are told of: the one that they must sign for, or the
// store's, where any will do.
func (x *exchange) shownRegion() string {
	return cmp.Or(x.proxy.cfg.Region, x.Upstream.Region())
}

// createBucket sends the request on; a location that means "here" becomes the store's.
func createBucket(x *exchange) error {
	body, err := x.readDocument(1 << 20)
	if err != nil {
		return err
	}
	if body, err = x.storesLocation(body); err != nil {
		return err
	}
	h := x.passedHeaders()
	req := &upstream.Request{Method: http.MethodPut, Bucket: x.bucket, Header: h, Unsigned: x.unsigned()}
	if len(body) > 0 {
		h.Set("Content-Type", "application/xml")
		req.Bytes = body
	}
	resp, err := x.Upstream.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passCommon(resp.Header)
	x.w.Header().Set("Location", "/"+x.bucket.String())
	if arn := resp.Header.Get("X-Amz-Bucket-Arn"); arn != "" {
		x.w.Header().Set("X-Amz-Bucket-Arn", arn)
	}
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

// storesLocation gives the document with which a bucket is made in the store's region, if the
// client's means the region that it calls this one: the proxy's, or, where any will do, the one
// that the request is signed for. Without a location S3 means us-east-1; where any region will do
// that is no choice of the client's.
func (x *exchange) storesLocation(body []byte) ([]byte, error) {
	ours, theirs := x.proxy.cfg.Region, x.Upstream.Region()
	here := cmp.Or(ours, x.auth.Region)
	switch {
	case ours == theirs:
		return body, nil
	case len(body) == 0 && (ours == "" || ours == noRegion):
		return locationDocument(theirs, nil)
	case len(body) == 0 || here == "" || here == theirs:
		return body, nil
	}
	var conf createBucketRequest
	if err := s3xml.Unmarshal(body, &conf); err != nil {
		return nil, s3err.MalformedXML.Because(err)
	}
	if conf.LocationConstraint == here && len(conf.Others) == 0 {
		return locationDocument(theirs, conf.Tags)
	}
	return body, nil
}

func locationDocument(region string, tags *newBucketTags) ([]byte, error) {
	if region == noRegion {
		region = ""
	}
	if region == "" && tags == nil {
		return nil, nil
	}
	return xml.Marshal(createBucketRequest{Xmlns: s3xml.Namespace, LocationConstraint: region, Tags: tags})
}

// headBucket answers with the region that clients know here.
func headBucket(x *exchange) error {
	resp, err := x.Upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passCommon(resp.Header)
	h := x.w.Header()
	h.Set("X-Amz-Bucket-Region", x.shownRegion())
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

// getBucketLocation asks the store whether the bucket exists and whether the client may ask.
// The region in the answer is the one that clients know, which may be the proxy's.
func getBucketLocation(x *exchange) error {
	resp, err := x.Upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: x.passedQuery(), Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	resp.Body.Close()
	x.passCommon(resp.Header)
	region := x.shownRegion()
	if region == noRegion {
		region = ""
	}
	return x.answerXML(locationResult{Xmlns: s3xml.Namespace, Region: region})
}

// noRegion is how S3 writes us-east-1 in a location constraint: as the empty string.
const noRegion = "us-east-1"

package proxy

import (
	"encoding/xml"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

type createBucketRequest struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	Xmlns              string   `xml:"xmlns,attr,omitempty"`
	LocationConstraint string   `xml:"LocationConstraint,omitempty"`
}

// createBucket sends the request on; a location that is the proxy's own region
// becomes the store's.
func createBucket(x *exchange) error {
	body, err := x.readDocument(1 << 20)
	if err != nil {
		return err
	}
	switch ours, theirs := x.proxy.cfg.Region, x.Upstream.Region(); {
	case ours == theirs:
	case len(body) == 0 && ours == noRegion: // no location means the proxy's region
		if body, err = locationDocument(theirs); err != nil {
			return err
		}
	case len(body) > 0:
		var conf createBucketRequest
		if err := s3xml.Unmarshal(body, &conf); err != nil {
			return s3err.MalformedXML.Because(err)
		}
		if conf.LocationConstraint == ours {
			if body, err = locationDocument(theirs); err != nil {
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

func locationDocument(region string) ([]byte, error) {
	if region == noRegion {
		return nil, nil
	}
	return xml.Marshal(createBucketRequest{Xmlns: s3xml.Namespace, LocationConstraint: region})
}

// headBucket answers with the region that clients sign for here.
func headBucket(x *exchange) error {
	resp, err := x.Upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passCommon(resp.Header)
	h := x.w.Header()
	h.Set("X-Amz-Bucket-Region", x.proxy.cfg.Region)
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
// The region in the answer is the proxy's, because clients sign for that one.
func getBucketLocation(x *exchange) error {
	resp, err := x.Upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: x.passedQuery(), Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	resp.Body.Close()
	x.passCommon(resp.Header)
	region := x.proxy.cfg.Region
	if region == noRegion {
		region = ""
	}
	return x.answerXML(locationResult{Xmlns: s3xml.Namespace, Region: region})
}

// noRegion is how S3 writes us-east-1 in a location constraint: as the empty string.
const noRegion = "us-east-1"

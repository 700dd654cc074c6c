package test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
)

// stateKeys are spellings, as on the wire, that some store folds into a key of
// the proxy's own objects.
var stateKeys = []string{
	".s3proxy/keys/x",
	".s3proxy/uploads/x",
	".s3proxy/",
	".s3proxy",
	".s3proxy%2Fkeys%2Fx",
	"%2Es3proxy/keys/x",
	"/.s3proxy/keys/x",
	"//.s3proxy/keys/x",
	"%2F.s3proxy/keys/x",
	"./.s3proxy/keys/x",
	"a/../.s3proxy/keys/x",
	"a/%2e%2e/.s3proxy/keys/x",
	".s3proxy//keys/x",
	".s3proxy/./keys/x",
	".s3proxy/a/../keys/x",
}

func TestStateObjectsAreOutOfReachUnderEverySpelling(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		mustPut(t, at.S3, "/"+bucket+"/client", []byte("made a window, and its record"))
		for _, key := range stateKeys {
			path := "/" + bucket + "/" + key
			for _, c := range []call{
				{method: http.MethodPut, path: path, body: []byte("mine")},
				{method: http.MethodGet, path: path},
				{method: http.MethodHead, path: path},
				{method: http.MethodDelete, path: path},
			} {
				got := c.do(t, at.S3)
				if got.status != 403 || c.method != http.MethodHead && got.code != "AccessDenied" {
					t.Errorf("%s %s: %v, want 403 AccessDenied", c.method, path, got)
				}
			}
		}
		for _, key := range []string{".s3proxy/keys/x", "//.s3proxy/keys/x", "a/../.s3proxy/keys/x"} {
			body := []byte("<Delete><Object><Key>" + key + "</Key></Object></Delete>")
			got := call{method: http.MethodPost, path: "/" + bucket, query: "delete", body: body,
				headers: map[string]string{"content-md5": md5Of(body)}}.do(t, at.S3)
			if !strings.Contains(string(got.body), "AccessDenied") {
				t.Errorf("DeleteObjects of %s: %v %s", key, got, got.body)
			}
		}
	})
}

func TestStateObjectsAreNotListed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		keys := []string{"-before", "-dir/x", ".s3", ".s3proxz", "after", "dir/x"}
		for _, key := range keys {
			mustPut(t, at.S3, "/"+bucket+"/"+key, []byte("x"))
		}
		for _, query := range []string{"", "max-keys=1", "max-keys=2", "delimiter=/", "delimiter=/&max-keys=1", "prefix=.s3", "prefix=.s3proxy", "prefix=.s3proxy/", "prefix=.s3proxy/&delimiter=/"} {
			for _, version := range []int{1, 2} {
				got := listAll(t, at, bucket, query, version)
				var want []string
				prefix := ""
				for pair := range strings.SplitSeq(query, "&") {
					if p, ok := strings.CutPrefix(pair, "prefix="); ok {
						prefix = p
					}
				}
				for _, key := range keys {
					if strings.Contains(query, "delimiter") {
						if dir, _, ok := strings.Cut(key, "/"); ok {
							key = dir + "/"
						}
					}
					if strings.HasPrefix(key, prefix) {
						want = append(want, key)
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("list v%d with %q gives %q, want %q", version, query, got, want)
				}
			}
		}
	})
}

// listAll gives the keys and common prefixes of all pages; each page but the
// last must be as full as was asked for.
func listAll(t *testing.T, at lab.Target, bucket, query string, version int) (all []string) {
	t.Helper()
	client := sdk(t, at.S3)
	in1 := &s3.ListObjectsInput{Bucket: &bucket}
	in2 := &s3.ListObjectsV2Input{Bucket: &bucket}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "prefix":
			in1.Prefix, in2.Prefix = &value, &value
		case "delimiter":
			in1.Delimiter, in2.Delimiter = &value, &value
		case "max-keys":
			n := int32(value[0] - '0')
			in1.MaxKeys, in2.MaxKeys = &n, &n
		}
	}
	for page := 0; page < 50; page++ {
		var keys []string
		more := false
		if version == 1 {
			out, err := client.ListObjects(t.Context(), in1)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range out.Contents {
				keys = append(keys, *o.Key)
			}
			for _, p := range out.CommonPrefixes {
				keys = append(keys, *p.Prefix)
			}
			if more = aws.ToBool(out.IsTruncated); more {
				in1.Marker = out.NextMarker
				if in1.Marker == nil { // S3 gives it only with a delimiter
					in1.Marker = aws.String(slices.Max(keys))
				}
			}
		} else {
			out, err := client.ListObjectsV2(t.Context(), in2)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range out.Contents {
				keys = append(keys, *o.Key)
			}
			for _, p := range out.CommonPrefixes {
				keys = append(keys, *p.Prefix)
			}
			if n := int(aws.ToInt32(out.KeyCount)); n != len(keys) {
				t.Errorf("KeyCount is %d with %d entries (%s)", n, len(keys), query)
			}
			more = aws.ToBool(out.IsTruncated)
			in2.ContinuationToken = out.NextContinuationToken
		}
		if more && in1.MaxKeys != nil && len(keys) != int(*in1.MaxKeys) {
			t.Errorf("a page that is not the last has %d entries (%s, v%d)", len(keys), query, version)
		}
		all = append(all, keys...)
		if !more {
			return all
		}
	}
	t.Fatalf("listing with %q does not end", query)
	return nil
}

// What the proxy does not do yet, or never, must be refused and not forwarded:
// the store would do it with ciphertext, or write plaintext.
func TestWhatIsNotDoneIsRefused(t *testing.T) {
	ssec := map[string]string{
		"x-amz-server-side-encryption-customer-algorithm": "AES256",
		"x-amz-server-side-encryption-customer-key":       "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"x-amz-server-side-encryption-customer-key-md5":   md5Of([]byte("01234567890123456789012345678901")),
	}
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		object := "/" + bucket + "/key"
		mustPut(t, at.S3, object, []byte("as it was"))
		for name, c := range map[string]call{
			"PUT with SSE-C":      {method: "PUT", path: object, body: []byte("x"), headers: ssec},
			"GET with SSE-C":      {method: "GET", path: object, headers: ssec},
			"SelectObjectContent": {method: "POST", path: object, query: "select=&select-type=2", body: []byte("<x/>")},
			"GetObjectTorrent":    {method: "GET", path: object, query: "torrent="},
			"RenameObject":        {method: "PUT", path: object, query: "renameObject=", headers: map[string]string{"x-amz-rename-source": bucket + "/other"}},
			"PUT at an offset":    {method: "PUT", path: object, body: []byte("x"), headers: map[string]string{"x-amz-write-offset-bytes": "9"}},
		} {
			got := c.do(t, at.S3)
			if got.status != 501 || got.code != "NotImplemented" {
				t.Errorf("%s: %v, want 501 NotImplemented", name, got)
			}
		}
		// A query that a store could read as another operation is a refusal of some kind.
		for _, query := range []string{"uploadId=u", "partNumber=1", "acl&partNumber=1", "uploads", "nobody-knows-this=1", "versionId=1&versionId=2", "%75ploads", "tagging"} {
			c := call{method: "PUT", path: object, query: query, body: []byte("plaintext")}
			if got := c.do(t, at.S3); got.status < 400 {
				t.Errorf("PUT ?%s: %v", query, got)
			}
		}
		if got := get(t, at.S3, object); string(got.body) != "as it was" {
			t.Errorf("the object is now %v", got)
		}
		list, err := sdk(t, at.S3).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
		if err != nil || len(list.Contents) != 1 {
			t.Errorf("the bucket lists %d objects, want 1 (%v)", len(list.Contents), err)
		}
	})
}

func TestMalformedRequestsGetS3sCodes(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		object := "/" + bucket + "/key"
		mustPut(t, at.S3, object, []byte("x"))
		for name, c := range map[string]struct {
			call
			status int
			code   string
		}{
			"no signature":           {call{method: "GET", path: object, unsigned: true}, 403, "AccessDenied"},
			"wrong secret":           {call{method: "GET", path: object, secret: "wrong"}, 403, "SignatureDoesNotMatch"},
			"nobody's key":           {call{method: "GET", path: object, accessKey: "nobody"}, 403, "InvalidAccessKeyId"},
			"another region":         {call{method: "GET", path: object, region: "eu-west-1"}, 400, "AuthorizationHeaderMalformed"},
			"not an authorization":   {call{method: "GET", path: object, authHeader: "AWS4-HMAC-SHA256 what"}, 400, "AuthorizationHeaderMalformed"},
			"an hour ago":            {call{method: "GET", path: object, at: time.Now().Add(-time.Hour)}, 403, "RequestTimeTooSkewed"},
			"in an hour":             {call{method: "GET", path: object, at: time.Now().Add(time.Hour)}, 403, "RequestTimeTooSkewed"},
			"headers over 8 KiB":     {call{method: "GET", path: object, headers: map[string]string{"x-amz-meta-a": strings.Repeat("a", 9<<10)}}, 400, "RequestHeaderSectionTooLarge"},
			"headers of 15 KiB":      {call{method: "GET", path: object, headers: map[string]string{"x-amz-meta-a": strings.Repeat("a", 15<<10)}}, 400, "RequestHeaderSectionTooLarge"},
			"a key over 1024 bytes":  {call{method: "PUT", path: "/" + bucket + "/" + strings.Repeat("k/", 512) + "k"}, 400, "KeyTooLongError"},
			"no such bucket":         {call{method: "GET", path: "/no-such-bucket-here/key"}, 404, "NoSuchBucket"},
			"PUT to no such bucket":  {call{method: "PUT", path: "/no-such-bucket-here/key", body: []byte("x")}, 404, "NoSuchBucket"},
			"no such key":            {call{method: "GET", path: object + "-not"}, 404, "NoSuchKey"},
			"a range past the end":   {call{method: "GET", path: object, headers: map[string]string{"range": "bytes=1-"}}, 416, "InvalidRange"},
			"a method that is none":  {call{method: "PATCH", path: object}, 405, "MethodNotAllowed"},
			"If-Match of another":    {call{method: "GET", path: object, headers: map[string]string{"if-match": `"00000000000000000000000000000000-0"`}}, 412, "PreconditionFailed"},
			"an unknown hash header": {call{method: "PUT", path: object, body: []byte("y"), payloadHash: "abc"}, 400, "InvalidArgument"},
		} {
			if got := c.do(t, at.S3); got.status != c.status || got.code != c.code {
				t.Errorf("%s: %v, want %d %s", name, got, c.status, c.code)
			} else if got.header.Get("Content-Type") != "application/xml" {
				t.Errorf("%s: the answer is %q, want XML", name, got.header.Get("Content-Type"))
			}
		}
	})
}

func TestPresignedRequestsWorkUntilTheyExpire(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		body := content(3, 100_000)
		put := call{method: "PUT", path: "/" + bucket + "/presigned", body: body}
		if got := put.presign(at.S3, time.Minute).do(t, at.S3); got.status != 200 {
			t.Fatalf("presigned PUT: %v", got)
		}
		read := call{method: "GET", path: "/" + bucket + "/presigned"}
		got := read.presign(at.S3, time.Minute).do(t, at.S3)
		if err := sameBytes(got.body, body); got.status != 200 || err != nil {
			t.Errorf("presigned GET: %v %v", got, err)
		}
		overridden := call{method: "GET", path: read.path, query: "response-content-type=text%2Fx"}.presign(at.S3, time.Minute).do(t, at.S3)
		if overridden.header.Get("Content-Type") != "text/x" {
			t.Errorf("response-content-type gives %q", overridden.header.Get("Content-Type"))
		}
		for name, c := range map[string]struct {
			call   call
			status int
			code   string
		}{
			"expired":            {call{method: "GET", path: read.path, at: time.Now().Add(-2 * time.Minute)}.presign(at.S3, time.Minute), 403, "AccessDenied"},
			"PUT expired":        {call{method: "PUT", path: read.path, body: []byte("x"), at: time.Now().Add(-2 * time.Minute)}.presign(at.S3, time.Minute), 403, "AccessDenied"},
			"for over a week":    {read.presign(at.S3, 8*24*time.Hour), 400, "AuthorizationQueryParametersError"},
			"not valid yet":      {call{method: "GET", path: read.path, at: time.Now().Add(time.Hour)}.presign(at.S3, time.Minute), 403, "AccessDenied"},
			"wrong secret":       {call{method: "GET", path: read.path, secret: "wrong"}.presign(at.S3, time.Minute), 403, "SignatureDoesNotMatch"},
			"of another method":  {other(read.presign(at.S3, time.Minute), "DELETE"), 403, "SignatureDoesNotMatch"},
			"with a query added": {more(read.presign(at.S3, time.Minute), "response-content-type=text%2Fx"), 403, "SignatureDoesNotMatch"},
		} {
			if got := c.call.do(t, at.S3); got.status != c.status || got.code != c.code {
				t.Errorf("%s: %v, want %d %s", name, got, c.status, c.code)
			}
		}
		// SDKs in browsers put an empty body's checksum into the query; it is not the body's.
		quirk := call{method: "PUT", path: "/" + bucket + "/quirk", body: body, query: "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"}
		if got := quirk.presign(at.S3, time.Minute).do(t, at.S3); got.status != 200 {
			t.Errorf("presigned PUT with the checksum of an empty body in its query: %v", got)
		}
		if got := get(t, at.S3, "/"+bucket+"/presigned"); sameBytes(got.body, body) != nil {
			t.Errorf("the object is now %v", got)
		}
	})
}

func other(c call, method string) call { c.method = method; return c }

func more(c call, query string) call { c.query += "&" + query; return c }

package attacks

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// stateKeys are spellings, as on the wire, that some stores normalize to a key of the proxy's state
// objects.
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
		bucket := s3test.NewBucket(t, at.S3)
		s3test.MustPut(t, at.S3, "/"+bucket+"/client", []byte("made a window, and its record"))
		for _, key := range stateKeys {
			path := "/" + bucket + "/" + key
			for _, c := range []s3test.Call{
				{Method: http.MethodPut, Path: path, Body: []byte("mine")},
				{Method: http.MethodGet, Path: path},
				{Method: http.MethodHead, Path: path},
				{Method: http.MethodDelete, Path: path},
			} {
				got := c.Do(t, at.S3)
				if got.Status != 403 || c.Method != http.MethodHead && got.Code != "AccessDenied" {
					t.Errorf("%s %s: %v, want 403 AccessDenied", c.Method, path, got)
				}
			}
		}
		for _, key := range []string{".s3proxy/keys/x", "//.s3proxy/keys/x", "a/../.s3proxy/keys/x"} {
			body := []byte("<Delete><Object><Key>" + key + "</Key></Object></Delete>")
			got := s3test.Call{Method: http.MethodPost, Path: "/" + bucket, Query: "delete", Body: body,
				Headers: map[string]string{"content-md5": s3test.MD5Of(body)}}.Do(t, at.S3)
			if !strings.Contains(string(got.Body), "AccessDenied") {
				t.Errorf("DeleteObjects of %s: %v %s", key, got, got.Body)
			}
		}
	})
}

func TestStateObjectsAreNotListed(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		keys := []string{"-before", "-dir/x", ".s3", ".s3proxz", "after", "dir/x"}
		for _, key := range keys {
			s3test.MustPut(t, at.S3, "/"+bucket+"/"+key, []byte("x"))
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

// listAll returns the keys and common prefixes of all pages. Each page but the last must be as full
// as requested.
func listAll(t *testing.T, at lab.Target, bucket, query string, version int) (all []string) {
	t.Helper()
	client := s3test.SDK(t, at.S3)
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
				if in1.Marker == nil { // S3 returns NextMarker only with a delimiter
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
			t.Errorf("a page before the last has %d entries (%s, v%d)", len(keys), query, version)
		}
		all = append(all, keys...)
		if !more {
			return all
		}
	}
	t.Fatalf("listing with %q does not end", query)
	return nil
}

// The proxy must refuse what it does not support and not forward it: the store would apply it to
// ciphertext, or write plaintext.
func TestWhatIsNotDoneIsRefused(t *testing.T) {
	ssec := map[string]string{
		"x-amz-server-side-encryption-customer-algorithm": "AES256",
		"x-amz-server-side-encryption-customer-key":       "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"x-amz-server-side-encryption-customer-key-md5":   s3test.MD5Of([]byte("01234567890123456789012345678901")),
	}
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		object := "/" + bucket + "/key"
		s3test.MustPut(t, at.S3, object, []byte("as it was"))
		for name, c := range map[string]s3test.Call{
			"PUT with SSE-C":      {Method: "PUT", Path: object, Body: []byte("x"), Headers: ssec},
			"GET with SSE-C":      {Method: "GET", Path: object, Headers: ssec},
			"SelectObjectContent": {Method: "POST", Path: object, Query: "select=&select-type=2", Body: []byte("<x/>")},
			"GetObjectTorrent":    {Method: "GET", Path: object, Query: "torrent="},
			"RenameObject":        {Method: "PUT", Path: object, Query: "renameObject=", Headers: map[string]string{"x-amz-rename-source": bucket + "/other"}},
			"PUT at an offset":    {Method: "PUT", Path: object, Body: []byte("x"), Headers: map[string]string{"x-amz-write-offset-bytes": "9"}},
		} {
			got := c.Do(t, at.S3)
			if got.Status != 501 || got.Code != "NotImplemented" {
				t.Errorf("%s: %v, want 501 NotImplemented", name, got)
			}
		}
		// A query that a store could read as another operation must be refused in some way.
		for _, query := range []string{"uploadId=u", "partNumber=1", "acl&partNumber=1", "uploads", "nobody-knows-this=1", "versionId=1&versionId=2", "%75ploads", "tagging"} {
			c := s3test.Call{Method: "PUT", Path: object, Query: query, Body: []byte("plaintext")}
			if got := c.Do(t, at.S3); got.Status < 400 {
				t.Errorf("PUT ?%s: %v", query, got)
			}
		}
		if got := s3test.Get(t, at.S3, object); string(got.Body) != "as it was" {
			t.Errorf("the object is now %v", got)
		}
		list, err := s3test.SDK(t, at.S3).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
		if err != nil || len(list.Contents) != 1 {
			t.Errorf("the bucket lists %d objects, want 1 (%v)", len(list.Contents), err)
		}
	})
}

func TestMalformedRequestsGetS3sCodes(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		object := "/" + bucket + "/key"
		s3test.MustPut(t, at.S3, object, []byte("x"))
		for name, c := range map[string]struct {
			s3test.Call
			status int
			code   string
		}{
			"no signature":           {s3test.Call{Method: "GET", Path: object, Unsigned: true}, 403, "AccessDenied"},
			"wrong secret":           {s3test.Call{Method: "GET", Path: object, Secret: "wrong"}, 403, "SignatureDoesNotMatch"},
			"nobody's key":           {s3test.Call{Method: "GET", Path: object, AccessKey: "nobody"}, 403, "InvalidAccessKeyId"},
			"not an authorization":   {s3test.Call{Method: "GET", Path: object, AuthHeader: "AWS4-HMAC-SHA256 what"}, 400, "AuthorizationHeaderMalformed"},
			"an hour ago":            {s3test.Call{Method: "GET", Path: object, At: time.Now().Add(-time.Hour)}, 403, "RequestTimeTooSkewed"},
			"in an hour":             {s3test.Call{Method: "GET", Path: object, At: time.Now().Add(time.Hour)}, 403, "RequestTimeTooSkewed"},
			"headers over 8 KiB":     {s3test.Call{Method: "GET", Path: object, Headers: map[string]string{"x-amz-meta-a": strings.Repeat("a", 9<<10)}}, 400, "RequestHeaderSectionTooLarge"},
			"headers of 15 KiB":      {s3test.Call{Method: "GET", Path: object, Headers: map[string]string{"x-amz-meta-a": strings.Repeat("a", 15<<10)}}, 400, "RequestHeaderSectionTooLarge"},
			"a key over 1024 bytes":  {s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + strings.Repeat("k/", 512) + "k"}, 400, "KeyTooLongError"},
			"no such bucket":         {s3test.Call{Method: "GET", Path: "/no-such-bucket-here/key"}, 404, "NoSuchBucket"},
			"PUT to no such bucket":  {s3test.Call{Method: "PUT", Path: "/no-such-bucket-here/key", Body: []byte("x")}, 404, "NoSuchBucket"},
			"no such key":            {s3test.Call{Method: "GET", Path: object + "-not"}, 404, "NoSuchKey"},
			"a range past the end":   {s3test.Call{Method: "GET", Path: object, Headers: map[string]string{"range": "bytes=1-"}}, 416, "InvalidRange"},
			"a method that is none":  {s3test.Call{Method: "PATCH", Path: object}, 405, "MethodNotAllowed"},
			"If-Match of another":    {s3test.Call{Method: "GET", Path: object, Headers: map[string]string{"if-match": `"00000000000000000000000000000000-0"`}}, 412, "PreconditionFailed"},
			"an unknown hash header": {s3test.Call{Method: "PUT", Path: object, Body: []byte("y"), PayloadHash: "abc"}, 400, "InvalidArgument"},
		} {
			if got := c.Do(t, at.S3); got.Status != c.status || got.Code != c.code {
				t.Errorf("%s: %v, want %d %s", name, got, c.status, c.code)
			} else if got.Header.Get("Content-Type") != "application/xml" {
				t.Errorf("%s: the answer is %q, want XML", name, got.Header.Get("Content-Type"))
			}
		}
	})
}

func TestPresignedRequestsWorkUntilTheyExpire(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		body := s3test.Content(3, 100_000)
		put := s3test.Call{Method: "PUT", Path: "/" + bucket + "/presigned", Body: body}
		if got := put.Presign(at.S3, time.Minute).Do(t, at.S3); got.Status != 200 {
			t.Fatalf("presigned PUT: %v", got)
		}
		read := s3test.Call{Method: "GET", Path: "/" + bucket + "/presigned"}
		got := read.Presign(at.S3, time.Minute).Do(t, at.S3)
		if err := s3test.SameBytes(got.Body, body); got.Status != 200 || err != nil {
			t.Errorf("presigned GET: %v %v", got, err)
		}
		overridden := s3test.Call{Method: "GET", Path: read.Path, Query: "response-content-type=text%2Fx"}.Presign(at.S3, time.Minute).Do(t, at.S3)
		if overridden.Header.Get("Content-Type") != "text/x" {
			t.Errorf("response-content-type gives %q", overridden.Header.Get("Content-Type"))
		}
		for name, c := range map[string]struct {
			call   s3test.Call
			status int
			code   string
		}{
			"expired":            {s3test.Call{Method: "GET", Path: read.Path, At: time.Now().Add(-2 * time.Minute)}.Presign(at.S3, time.Minute), 403, "AccessDenied"},
			"PUT expired":        {s3test.Call{Method: "PUT", Path: read.Path, Body: []byte("x"), At: time.Now().Add(-2 * time.Minute)}.Presign(at.S3, time.Minute), 403, "AccessDenied"},
			"for over a week":    {read.Presign(at.S3, 8*24*time.Hour), 400, "AuthorizationQueryParametersError"},
			"not valid yet":      {s3test.Call{Method: "GET", Path: read.Path, At: time.Now().Add(time.Hour)}.Presign(at.S3, time.Minute), 403, "AccessDenied"},
			"wrong secret":       {s3test.Call{Method: "GET", Path: read.Path, Secret: "wrong"}.Presign(at.S3, time.Minute), 403, "SignatureDoesNotMatch"},
			"of another method":  {other(read.Presign(at.S3, time.Minute), "DELETE"), 403, "SignatureDoesNotMatch"},
			"with a query added": {more(read.Presign(at.S3, time.Minute), "response-content-type=text%2Fx"), 403, "SignatureDoesNotMatch"},
		} {
			if got := c.call.Do(t, at.S3); got.Status != c.status || got.Code != c.code {
				t.Errorf("%s: %v, want %d %s", name, got, c.status, c.code)
			}
		}
		// Browser SDKs put an empty body's checksum into the query; it does not apply to the body.
		quirk := s3test.Call{Method: "PUT", Path: "/" + bucket + "/quirk", Body: body, Query: "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"}
		if got := quirk.Presign(at.S3, time.Minute).Do(t, at.S3); got.Status != 200 {
			t.Errorf("presigned PUT with the checksum of an empty body in its query: %v", got)
		}
		if got := s3test.Get(t, at.S3, "/"+bucket+"/presigned"); s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("the object is now %v", got)
		}
	})
}

func other(c s3test.Call, method string) s3test.Call { c.Method = method; return c }

func more(c s3test.Call, query string) s3test.Call { c.Query += "&" + query; return c }

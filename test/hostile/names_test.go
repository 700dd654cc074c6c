package hostile

import (
	"net/url"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// Names that lead out of a bucket, or to objects of the proxy's or the store's own.
var (
	climbingKeys = []string{
		"../victim-sealed/k", "../victim-plain/k", "a/../../victim-plain/k", "..", "x/..", "../../../keyset.json", "../../../../../../etc/passwd", "./../victim-plain/k",
		".s3proxy/keys/0", "a/../.s3proxy/keys/0", ".S3Proxy//keys/0", ".sgwtmp/multipart/0", "./.sgwtmp/x", "//.s3proxy/x",
	}
	climbingIDs = []string{
		"../../../../victim-plain", "..", ".", "a/../../b", "/victim-plain", "a//b", `..\victim-plain`, "a\x01", "%2e%2e%2fvictim-plain", "\x00", "ü", strings.Repeat("a", 1025),
		// Such paths in Base64, which MinIO decodes.
		"Li4vLi4vLi4vLi4vdmljdGltLXBsYWluL2s", "eC4uLi8uLi8uLi8uLi92aWN0aW0tcGxhaW4", "L2V0Yy9wYXNzd2Q",
	}
	climbingPlaces = []string{"../victim-plain/", "a/../../victim-plain", "/../x", "\x00", "\xff\xfe"}
)

// spellings are the ways to write a key in a path.
func spellings(key string) map[string]string {
	return map[string]string{
		"bare":         (&url.URL{Path: key}).EscapedPath(),
		"encoded":      url.PathEscape(key),
		"dots encoded": strings.ReplaceAll(strings.ReplaceAll(key, `\`, "%5C"), ".", "%2e"),
	}
}

func pathNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, key := range climbingKeys {
		for way, path := range spellings(key) {
			for _, op := range []s3test.Call{
				{Method: "GET"}, {Method: "HEAD"}, {Method: "PUT", Body: []byte("x")}, {Method: "DELETE"},
				{Method: "POST", Query: "uploads="}, {Method: "PUT", Query: "partNumber=1&uploadId=" + g.upload, Body: []byte("x")},
				{Method: "GET", Query: "uploadId=" + g.upload}, {Method: "DELETE", Query: "uploadId=" + g.upload},
				{Method: "POST", Query: "uploadId=" + g.upload, Body: []byte("<CompleteMultipartUpload/>")},
				{Method: "PUT", Query: "tagging=", Body: []byte("<Tagging><TagSet/></Tagging>")}, {Method: "DELETE", Query: "tagging="}, {Method: "GET", Query: "acl="},
			} {
				op.Path = g.at(path)
				all = append(all, nonsense{name: op.Method + " ?" + op.Query + " " + way + " " + key, Call: op})
			}
		}
	}
	for _, path := range []string{"%", "%2", "%zz", "k%", "%ff", "%c0%ae%c0%ae/x", "%e0%80%ae", "k%00", "%00", strings.Repeat("k", 1025), strings.Repeat("%c3%bc", 513)} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			all = append(all, nonsense{name: method + " of the path " + path, Call: s3test.Call{Method: method, Path: g.at(path)}})
		}
	}
	return all
}

func queryNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, id := range climbingIDs {
		for _, c := range []struct{ method, path, query string }{
			{"GET", g.at("k"), "uploadId="}, {"DELETE", g.at("k"), "uploadId="}, {"POST", g.at("k"), "uploadId="}, {"PUT", g.at("k"), "partNumber=1&uploadId="},
			{"GET", g.at("k"), "versionId="}, {"HEAD", g.at("k"), "versionId="}, {"DELETE", g.at("k"), "versionId="}, {"GET", g.at("k"), "tagging=&versionId="},
			{"GET", "/" + g.bucket, "uploads=&key-marker=k&upload-id-marker="}, {"GET", "/" + g.bucket, "versions=&key-marker=k&version-id-marker="},
		} {
			if strings.Contains(c.query, "marker") && !strings.ContainsAny(id, "./\\%\x00\x01ü") {
				continue // a marker may name a key that does not exist
			}
			if c.method == "DELETE" && strings.HasPrefix(c.query, "versionId") && !strings.ContainsAny(id, "./\\%\x00\x01ü") {
				continue // deleting a version that does not exist is allowed
			}
			n := nonsense{name: c.method + " " + c.query + id, Call: s3test.Call{Method: c.method, Path: c.path, Query: c.query + url.QueryEscape(id)}}
			if c.method == "POST" {
				n.Body = []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>")
			}
			all = append(all, n)
		}
	}
	for _, place := range climbingPlaces {
		for _, cursor := range []string{"prefix", "marker", "start-after", "key-marker"} {
			for _, kind := range []string{"", "list-type=2&", "versions=&", "uploads=&"} {
				query := kind + cursor + "=" + url.QueryEscape(place)
				all = append(all, nonsense{name: query, Call: s3test.Call{Method: "GET", Path: "/" + g.bucket, Query: query}})
			}
		}
	}
	for _, query := range []string{
		"max-keys=-1", "max-keys=x", "max-keys=99999999999999999999", "list-type=2&max-keys=-1", "list-type=2&max-keys=1e3", "encoding-type=base64", "list-type=2&encoding-type=x",
		"prefix=a&prefix=b", "list-type=2&list-type=2", "uploads&versions", "acl&policy", "list-type=2&uploads", "%zz", "a=%", "uploads=&max-uploads=-1", "uploads=&max-uploads=x",
		"versions=&max-keys=-1", "versions=&max-keys=x", "delete&uploads",
	} {
		all = append(all, nonsense{name: "list ?" + query, Call: s3test.Call{Method: "GET", Path: "/" + g.bucket, Query: query}})
	}
	return all
}

func copyNonsense(_ testing.TB, g ground) (all []nonsense) {
	var sources []string
	for _, key := range climbingKeys {
		sources = append(sources, g.bucket+"/"+key, "/"+g.bucket+"/"+url.PathEscape(key), url.QueryEscape(g.bucket+"/"+key))
	}
	for _, id := range climbingIDs {
		sources = append(sources, g.bucket+"/k?versionId="+url.QueryEscape(id))
	}
	sources = append(sources, "/", "//", "///", g.bucket, "/"+g.bucket, g.bucket+"/", "?", "k", "%", "%zz/k", g.bucket+"/%zz", g.bucket+"/%00", g.bucket+"/%ff", "../"+g.victim+"/k", "%2e%2e/k",
		"./k/k", g.bucket+"/k?versionId=x&versionId=y", g.bucket+"/k?x=y", g.bucket+"/none", "no-such-bucket-here/k", "http://"+g.host+"/"+g.victim+"/k", "arn:aws:s3:us-east-1:1:accesspoint/a/object/k",
		g.bucket+"/"+strings.Repeat("k", 1025), strings.Repeat("b", 300)+"/k")
	for _, source := range sources {
		if strings.ContainsAny(source, "\x00\x01") {
			continue
		}
		for _, query := range []string{"", "partNumber=2&uploadId=" + g.upload} {
			path := g.at("copied")
			if query != "" {
				path = g.at("parts")
			}
			all = append(all, nonsense{name: source + " ?" + query, Call: s3test.Call{Method: "PUT", Path: path, Query: query, Headers: map[string]string{"x-amz-copy-source": source}}})
		}
	}
	good := "/" + g.bucket + "/k"
	for _, c := range []map[string]string{
		{"x-amz-metadata-directive": "NEITHER"}, {"x-amz-tagging-directive": "NEITHER"}, {"x-amz-copy-source-if-match": `"none"`}, {"x-amz-copy-source-if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT", "x-amz-copy-source-if-match": `"none"`},
		{"x-amz-copy-source-if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, {"x-amz-copy-source-range": "bytes=0-1"},
	} {
		headers := map[string]string{"x-amz-copy-source": good}
		for name, value := range c {
			headers[name] = value
			all = append(all, nonsense{name: "copy with " + name + ": " + value, Call: s3test.Call{Method: "PUT", Path: g.at("k"), Headers: headers}})
		}
	}
	for _, r := range []string{"bytes=0-", "bytes=-1", "bytes=5-2", "bytes=0-99999", "bytes=x", "0-1", "bytes=0-1,3-4", "bytes=99-100", "bytes=-0", "bytes=0-99999999999999999999", "octets=0-1"} {
		all = append(all, nonsense{name: "copied range " + r, Call: s3test.Call{Method: "PUT", Path: g.at("parts"), Query: "partNumber=2&uploadId=" + g.upload, Headers: map[string]string{"x-amz-copy-source": good, "x-amz-copy-source-range": r}}})
	}
	for _, method := range []string{"GET", "DELETE", "HEAD", "POST"} {
		all = append(all, nonsense{name: method + " with a copy's source", Call: s3test.Call{Method: method, Path: g.at("k"), Headers: map[string]string{"x-amz-copy-source": good}}})
	}
	return all
}

// documentCall sends a document with its MD5, as S3 requires for lists of keys.
func documentCall(path, query, document string) s3test.Call {
	return s3test.Call{Method: "POST", Path: path, Query: query, Body: []byte(document), Headers: map[string]string{"content-md5": s3test.MD5Of([]byte(document))}}
}

func listNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, key := range climbingKeys {
		all = append(all, nonsense{name: "a list with " + key, inList: true, Call: documentCall("/"+g.bucket, "delete=", "<Delete><Object><Key>"+s3test.XMLText(key)+"</Key></Object></Delete>")})
	}
	for _, id := range climbingIDs[:9] {
		all = append(all, nonsense{name: "a list with the version " + id, inList: true, Call: documentCall("/"+g.bucket, "delete=", "<Delete><Object><Key>k</Key><VersionId>"+s3test.XMLText(id)+"</VersionId></Object></Delete>")})
	}
	return all
}

func bucketNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, name := range []string{"..", ".", "%2e%2e", ".minio.sys", ".sgwtmp", ".s3proxy", "a", "ab", "-abc", "_abc", "a b", "a%00b", "a%2fb", "b:c", "bücket", "a*b", "..%2f" + g.victim, "%2e%2e%2f" + g.victim, strings.Repeat("b", 256), "%ff%fe%fd", `a\b`, "a;b", "%0d%0aX"} {
		for _, c := range []s3test.Call{{Method: "PUT"}, {Method: "GET"}, {Method: "HEAD"}, {Method: "DELETE"}, {Method: "GET", Query: "policy="}} {
			c.Path = "/" + strings.ReplaceAll(name, " ", "%20")
			all = append(all, nonsense{name: c.Method + " of the bucket " + name, Call: c})
			c.Path += "/k"
			all = append(all, nonsense{name: c.Method + " in the bucket " + name, Call: c})
		}
	}
	return all
}

package hostile

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// chunkNonsense has wrong chunk framing. The body is `hello`, which should be sent unsigned with a
// trailing checksum.
func chunkNonsense(_ testing.TB, g ground) (all []nonsense) {
	checksum := s3test.CRCTrailer + ":" + s3test.CRC32Of([]byte("hello")) + "\r\n"
	headers := map[string]string{"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "5", "x-amz-trailer": s3test.CRCTrailer}
	for _, body := range []string{
		"", "hello", "\r\n", "5", "5\r\n", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n" + checksum,
		"4\r\nhello\r\n0\r\n" + checksum + "\r\n", "6\r\nhello\r\n0\r\n" + checksum + "\r\n", "-5\r\nhello\r\n0\r\n" + checksum + "\r\n", "+5\r\nhello\r\n0\r\n" + checksum + "\r\n", "0x5\r\nhello\r\n0\r\n" + checksum + "\r\n",
		" 5\r\nhello\r\n0\r\n" + checksum + "\r\n", "5 \r\nhello\r\n0\r\n" + checksum + "\r\n", "5;a=b\r\nhello\r\n0\r\n" + checksum + "\r\n", "5;\r\nhello\r\n0\r\n" + checksum + "\r\n", "g\r\nhello\r\n0\r\n" + checksum + "\r\n",
		"ffffffffffffffff\r\nhello\r\n0\r\n" + checksum + "\r\n", "7fffffffffffffff\r\nhello\r\n0\r\n" + checksum + "\r\n", "10000000000000005\r\nhello\r\n0\r\n" + checksum + "\r\n", strings.Repeat("0", 5000) + "5\r\nhello\r\n0\r\n" + checksum + "\r\n",
		"5\nhello\n0\n" + checksum + "\n", "5\rhello\r0\r" + checksum + "\r", "5\r\nhelloXX0\r\n" + checksum + "\r\n", "5\r\nhello0\r\n" + checksum + "\r\n", "5\r\nhello\r\n0\r\n" + checksum + "\r\nmore", "5\r\nhello\r\n0\r\n" + checksum + "\r\n\r\n",
		"5\r\nhello\r\n0\r\n" + checksum + checksum + "\r\n", "5\r\nhello\r\n0\r\n" + s3test.CRCTrailer + ":AAAAAA==\r\n\r\n", "5\r\nhello\r\n0\r\n" + s3test.CRCTrailer + ":x\r\n\r\n", "5\r\nhello\r\n0\r\n" + s3test.CRCTrailer + "\r\n\r\n", "5\r\nhello\r\n0\r\n:\r\n\r\n",
		"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n", "5\r\nhello\r\n0\r\nx-amz-meta-a:b\r\n" + checksum + "\r\n", "5\r\nhello\r\n0\r\n" + strings.Repeat("a", 20_000) + ":b\r\n\r\n", "5\r\nhello\r\n0\r\n" + checksum + "x-amz-trailer-signature:x\r\n\r\n",
		"1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n" + checksum + "\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n" + checksum + "\r\n", "0\r\n" + checksum + "\r\n5\r\nhello\r\n0\r\n" + checksum + "\r\n", "5\r\nhello\r\n5\r\nhello\r\n0\r\n" + checksum + "\r\n", "5\r\nHELLO\r\n0\r\n" + checksum + "\r\n",
		"5;chunk-signature=" + strings.Repeat("0", 64) + "\r\nhello\r\n0\r\n" + checksum + "\r\n", "\x00\x00\x00\x05hello", "5\r\nhello\r\n00\r\nX: y\r\n" + checksum + "\r\n",
	} {
		for _, path := range []string{"k", "parts"} {
			c := s3test.Call{Method: "PUT", Path: g.at(path), PayloadHash: s3test.UnsignedStreamTrailer, Headers: headers, Body: []byte(body)}
			if path == "parts" {
				c.Query = "partNumber=1&uploadId=" + g.upload
			}
			all = append(all, nonsense{name: fmt.Sprintf("%.80q to %s", body, path), Call: c})
		}
	}
	good := "5\r\nhello\r\n0\r\n" + checksum + "\r\n"
	for _, change := range []map[string]string{
		{"x-amz-decoded-content-length": ""}, {"x-amz-decoded-content-length": "4"}, {"x-amz-decoded-content-length": "6"}, {"x-amz-decoded-content-length": "-5"}, {"x-amz-decoded-content-length": "x"}, {"x-amz-decoded-content-length": "5.0"},
		{"x-amz-decoded-content-length": "99999999999999999999"}, {"x-amz-decoded-content-length": "9223372036854775807"}, {"x-amz-decoded-content-length": "5,5"}, {"x-amz-decoded-content-length": "0x5"},
		{"x-amz-trailer": "x-amz-checksum-crc99"}, {"x-amz-trailer": "host"}, {"x-amz-trailer": s3test.CRCTrailer + "," + s3test.CRCTrailer + "c"}, {"x-amz-trailer": "x-amz-meta-a"}, {"x-amz-trailer": "content-length"}, {"x-amz-trailer": "x-amz-checksum-sha256"},
		{s3test.CRCTrailer: "AAAAAA=="}, {"content-md5": s3test.MD5Of([]byte("other"))}, {"x-amz-checksum-sha1": "x"},
	} {
		changed := maps.Clone(headers)
		maps.Copy(changed, change)
		all = append(all, nonsense{name: fmt.Sprintf("chunks with %v", change), Call: s3test.Call{Method: "PUT", Path: g.at("k"), PayloadHash: s3test.UnsignedStreamTrailer, Headers: changed, Body: []byte(good)}})
	}
	for _, s := range []s3test.Stream{
		{Shape: s3test.SignedStream, Forge: 1}, {Shape: s3test.SignedStream, Forge: 2}, {Shape: s3test.SignedStream, NoFinal: true}, {Shape: s3test.SignedStream, Cut: 1}, {Shape: s3test.SignedStream, Cut: 3}, {Shape: s3test.SignedStream, Decoded: 9}, {Shape: s3test.SignedStream, Chunk: 2},
		{Shape: s3test.SignedStreamTrailer, Forge: 1}, {Shape: s3test.SignedStreamTrailer, ForgeTrailer: true}, {Shape: s3test.SignedStreamTrailer, NoTrailer: true}, {Shape: s3test.SignedStreamTrailer, Checksum: "AAAAAA=="}, {Shape: s3test.SignedStreamTrailer, OtherTrailer: "x-amz-meta-a:b"},
		{Shape: s3test.SignedStreamTrailer, OtherTrailer: "a"}, {Shape: s3test.SignedStreamTrailer, Cut: 2}, {Shape: s3test.UnsignedStreamTrailer, Decoded: 2},
	} {
		s.Body = []byte("hello")
		for _, secret := range []string{"", "wrong"} {
			all = append(all, nonsense{name: fmt.Sprintf("stream %+v, secret %q", s, secret), Call: s3test.Call{Method: "PUT", Path: g.at("k"), Stream: &s, Secret: secret}})
		}
	}
	return all
}

// documentNonsense is anything that is not a document of the expected kind.
func documentNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, of := range []struct {
		path, query, root, inner string
	}{
		{"/" + g.bucket, "delete=", "Delete", "<Object><Key>k</Key></Object>"},
		{g.at("parts"), "uploadId=" + g.upload, "CompleteMultipartUpload", "<Part><PartNumber>1</PartNumber><ETag>" + s3test.XMLText(g.etag) + "</ETag></Part>"},
	} {
		open, shut := "<"+of.root+">", "</"+of.root+">"
		for _, document := range []string{
			"", " ", "x", "{}", "<", "<>", "</>", "<?xml", "<?xml version=\"1.0\"?>", "\x00", "\xff\xfe<\x00", "\xef\xbb\xbf", open, shut, open + shut, "<" + of.root + "/>", open + of.inner, of.inner + shut, open + "<Object>" + shut, open + of.inner + "</Other>",
			"<Other>" + of.inner + "</Other>", "<" + strings.ToLower(of.root) + ">" + of.inner + "</" + strings.ToLower(of.root) + ">", "<" + of.root + "s>" + of.inner + "</" + of.root + "s>", "<x>" + open + of.inner + shut + "</x>",
			open + strings.Repeat("<a>", 200_000), open + strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000) + shut, "<" + of.root + " " + strings.Repeat(`a="" `, 50_000) + ">" + shut, open + strings.Repeat(" ", 3<<20) + shut,
			`<!DOCTYPE x [<!ENTITY a "k"><!ENTITY b "&a;&a;&a;">]>` + open + "<Object><Key>&b;</Key></Object>" + shut, `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + open + "<Object><Key>&a;</Key></Object>" + shut, open + "<Object><Key>&nbsp;</Key></Object>" + shut,
			open + "<Object><Key>&#0;</Key></Object>" + shut, open + "<Object><Key>&#xD800;</Key></Object>" + shut, open + "<Object><Key>\xff</Key></Object>" + shut, open + "<Object><Key>k\x00</Key></Object>" + shut, open + strings.Repeat(of.inner, 10_001) + shut,
			`<?xml version="1.0" encoding="UTF-16"?>` + open + of.inner + shut, `<?xml version="1.0" encoding="ISO-8859-1"?>` + open + "<Object><Key>\xe4</Key></Object>" + shut, open + "<Object><Key></Key></Object>" + shut, open + "<Object/>" + shut,
			open + "<Part/>" + shut, open + "<Part><PartNumber>1</PartNumber></Part>" + shut, open + "<![CDATA[" + of.inner + "]]>" + shut, open + "<!--" + of.inner + "-->" + shut, open + of.inner + shut[:len(shut)-1], open + "<Object><Key>" + strings.Repeat("k", 1025) + "</Key></Object>" + shut,
		} {
			all = append(all, nonsense{name: fmt.Sprintf("?%.6s %.70q", of.query, document), inList: of.root == "Delete", Call: documentCall(of.path, of.query, document)})
		}
		good := open + of.inner + shut
		for name, value := range map[string]string{"content-md5": s3test.MD5Of([]byte("other")), "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha256": "x"} {
			c := documentCall(of.path, of.query, good)
			if of.root != "Delete" && name != "content-md5" {
				continue // for an object, those are valid
			}
			c.Headers = map[string]string{name: value}
			all = append(all, nonsense{name: "?" + of.query + " with another " + name, Call: c})
		}
		c := documentCall(of.path, of.query, good)
		c.Stream, c.Body = &s3test.Stream{Shape: s3test.SignedStream, Body: []byte(good)}, nil
		all = append(all, nonsense{name: "?" + of.query + " in chunks", Call: c})
	}
	return all
}

// multipartNonsense misuses an upload.
func multipartNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, number := range []string{"0", "-1", "10001", "99999999999999999999", "", "x", "1.0", "1e1", "0x1", "%201", "1%20", "01x", "1,2", "../1", "%2B1", "+1", "-0", "1_0", "%D9%A1", "1%00", "%00"} {
		for _, source := range []string{"", "/" + g.bucket + "/k"} {
			c := s3test.Call{Method: "PUT", Path: g.at("parts"), Query: "partNumber=" + number + "&uploadId=" + g.upload, Body: []byte("x")}
			if source != "" {
				c.Headers, c.Body = map[string]string{"x-amz-copy-source": source}, nil
			}
			all = append(all, nonsense{name: "part " + number + " " + source, Call: c})
		}
		all = append(all, nonsense{name: "GET of part " + number, Call: s3test.Call{Method: "GET", Path: g.at("none"), Query: "partNumber=" + number}})
	}
	part := func(number, etag string) string {
		return "<Part><PartNumber>" + number + "</PartNumber><ETag>" + s3test.XMLText(etag) + "</ETag></Part>"
	}
	checked := func(element, value string) string {
		return strings.Replace(part("1", g.etag), "</Part>", "<"+element+">"+value+"</"+element+"></Part>", 1)
	}
	for _, list := range []string{
		part("0", g.etag), part("-1", g.etag), part("10001", g.etag), part("x", g.etag), part("", g.etag), part("1.5", g.etag), part("99999999999999999999", g.etag), part("+1", g.etag), part("0x1", g.etag), part("1<b/>1", g.etag), part("2", g.etag), part("1", ""), part("1", "x"), part("1", `"00000000000000000000000000000000"`),
		part("1", g.etag) + part("1", g.etag), part("2", g.etag) + part("1", g.etag), part("1", g.etag) + part("2", "x"), part("1", "../../x"), part("1", strings.Repeat("e", 100_000)),
		"<Part><ETag>" + s3test.XMLText(g.etag) + "</ETag></Part>", "<Part><PartNumber>1</PartNumber></Part>",
		checked("ChecksumCRC32", "x"), checked("ChecksumSHA256", "AAAAAA=="), checked("ChecksumCRC32", "AAAAAA==</ChecksumCRC32><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C><ChecksumSHA1>x</ChecksumSHA1><ChecksumCRC32>AAAAAA=="),
	} {
		all = append(all, nonsense{name: fmt.Sprintf("completing with %.100q", list), Call: documentCall(g.at("parts"), "uploadId="+g.upload, "<CompleteMultipartUpload>"+list+"</CompleteMultipartUpload>")})
	}
	good := "<CompleteMultipartUpload>" + part("1", g.etag) + "</CompleteMultipartUpload>"
	for _, place := range []string{"/" + g.bucket + "/other", "/" + g.victim + "/parts", "/" + g.bucket + "/Parts", "/" + g.bucket + "/parts/"} {
		for _, c := range []s3test.Call{
			documentCall(place, "uploadId="+g.upload, good), {Method: "DELETE", Path: place, Query: "uploadId=" + g.upload}, {Method: "GET", Path: place, Query: "uploadId=" + g.upload},
			{Method: "PUT", Path: place, Query: "partNumber=1&uploadId=" + g.upload, Body: []byte("x")},
		} {
			all = append(all, nonsense{name: c.Method + " of an upload of another name " + place, Call: c})
		}
	}
	for _, query := range []string{"uploads=&uploadId=" + g.upload, "uploadId=" + g.upload + "&uploadId=" + g.upload, "uploadId=", "uploadid=" + g.upload, "partNumber=1&uploadId=", "partNumber=1", "partNumber=1&partNumber=2&uploadId=" + g.upload,
		"uploads=&x=y", "uploads=1&delete", "partNumber=1&uploadId=" + g.upload + "&acl", "uploadId=" + g.upload + "&versionId=x"} {
		for _, method := range []string{"PUT", "POST"} {
			if method == "POST" && query == "uploads=&x=y" {
				query = "uploads=&y"
			}
			all = append(all, nonsense{name: method + " ?" + query, Call: s3test.Call{Method: method, Path: g.at("parts"), Query: query, Body: []byte("x")}})
		}
	}
	return all
}

// formNonsense are malformed browser uploads.
func formNonsense(t testing.TB, g ground) (all []nonsense) {
	add := func(name, kind string, body []byte) {
		all = append(all, nonsense{name: name, Call: s3test.Call{Method: "POST", Path: "/" + g.bucket, Unsigned: true, Headers: map[string]string{"content-type": kind}, Body: body}})
	}
	for _, key := range append(climbingKeys, "", "k\x00", "\xff", strings.Repeat("k", 1025), "${filename}/../../../x") {
		kind, head, tail := s3test.SignedForm(t, g.S3, g.bucket, key)
		add(fmt.Sprintf("the key %.50q", key), kind, bytes.Join([][]byte{head, []byte("x"), tail}, nil))
	}
	kind, head, tail := s3test.SignedForm(t, g.S3, g.bucket, "form")
	form := string(head) + "x" + string(tail)
	boundary := strings.TrimPrefix(kind, "multipart/form-data; boundary=")
	for _, other := range []string{"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "multipart/mixed; boundary=" + boundary, "application/x-www-form-urlencoded", "text/xml", ";", "multipart/form-data; boundary=" + strings.Repeat("b", 3000), "multipart/form-data; boundary=" + boundary + "; boundary=x"} {
		add("the type "+other, other, []byte(form))
	}
	for name, body := range map[string]string{
		"nothing": "", "no boundary": "key=form", "no file": string(head[:bytes.LastIndex(head, []byte("--"+boundary))]) + "--" + boundary + "--\r\n", "cut": form[:len(form)-4], "no end": string(head), "twice the key": strings.Replace(form, "--"+boundary, "--"+boundary+"\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nother\r\n--"+boundary, 1),
		"a part without a name": strings.Replace(form, `name="key"`, `nome="key"`, 1), "another key": strings.Replace(form, "\r\n\r\nform\r\n", "\r\n\r\nother\r\n", 1), "a field nobody allowed": strings.Replace(form, "--"+boundary, "--"+boundary+"\r\nContent-Disposition: form-data; name=\"x-amz-meta-a\"\r\n\r\nb\r\n--"+boundary, 1),
		"a field of 30 KiB": strings.Replace(form, "--"+boundary, "--"+boundary+"\r\nContent-Disposition: form-data; name=\"x-ignore-a\"\r\n\r\n"+strings.Repeat("a", 30<<10)+"\r\n--"+boundary, 1), "headers without end": "--" + boundary + "\r\n" + strings.Repeat("a", 100<<10),
		"many parts": strings.Repeat("--"+boundary+"\r\nContent-Disposition: form-data; name=\"x-ignore-a\"\r\n\r\n\r\n", 5000), "line feeds alone": strings.ReplaceAll(form, "\r\n", "\n"),
	} {
		add(name, kind, []byte(body))
	}
	for _, field := range []string{"policy", "x-amz-signature", "x-amz-credential", "x-amz-date", "x-amz-algorithm"} {
		start := strings.Index(form, `name="`+field+`"`) + len(`name="`+field+`"`) + 4
		end := start + strings.Index(form[start:], "\r\n--")
		for _, value := range []string{"", "x", "../..", base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2100-01-01T00:00:00Z","conditions":[]}`)), base64.StdEncoding.EncodeToString([]byte(strings.Repeat("[", 10_000))), strings.Repeat("0", 64)} {
			add(fmt.Sprintf("the %s %.40q", field, value), kind, []byte(form[:start]+value+form[end:]))
		}
		add("without "+field, kind, []byte(strings.Replace(form, `name="`+field+`"`, `name="x-ignore-it"`, 1)))
	}
	_, foreign, foreignTail := s3test.SignedForm(t, g.S3, g.victim, "form")
	add("a form for another bucket", kind, bytes.Join([][]byte{foreign, []byte("x"), foreignTail}, nil))
	for _, extra := range [][2]string{{"x-amz-meta-s3proxy-dek", "x"}, {"x-amz-server-side-encryption-customer-algorithm", "AES256"}, {"x-amz-checksum-crc32", "AAAAAA=="}, {"content-md5", "x"}, {"tagging", "<Tagging>"}, {"x-amz-meta-a", "b\nc"}} {
		kind, head, tail := s3test.SignedForm(t, g.S3, g.bucket, "form", extra)
		add("a form with "+extra[0], kind, bytes.Join([][]byte{head, []byte("x"), tail}, nil))
	}
	return all
}

package hostile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// headerNonsense are headers that contradict each other or have impossible values.
func headerNonsense(_ testing.TB, g ground) (all []nonsense) {
	body := []byte("x")
	put := s3test.Call{Method: "PUT", Path: g.at("k"), Body: body}
	with := func(c s3test.Call, headers map[string]string) s3test.Call { c.Headers = headers; return c }
	for _, c := range []map[string]string{
		{"content-md5": "x"}, {"content-md5": s3test.MD5Of([]byte("other"))}, {"content-md5": "AAAA"}, {"x-amz-checksum-crc32": "x"}, {"x-amz-checksum-crc32": "AAAAAA=="}, {"x-amz-checksum-crc32c": "AAAAAA=="},
		{"x-amz-checksum-sha1": "AAAA"}, {"x-amz-checksum-sha256": "AAAA"}, {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, {"x-amz-checksum-crc99": "AAAA"}, {"x-amz-checksum-crc32": s3test.CRC32Of(body), "x-amz-checksum-sha256": "AAAA"},
		{"x-amz-checksum-crc32": s3test.CRC32Of(body), "x-amz-checksum-crc32c": "AAAAAA=="}, {"x-amz-sdk-checksum-algorithm": "CRC99"}, {"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-crc32": s3test.CRC32Of(body)},
		{"x-amz-meta-s3proxy-dek": "x"}, {"x-amz-meta-s3proxy-": "x"}, {"x-amz-write-offset-bytes": "0"}, {"x-amz-no-such-if-match": "x"}, {"x-amz-copy-source-range": "bytes=0-1"}, {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
		{"if-none-match": "*", "if-match": `"x"`}, {"if-match": `"none"`}, {"if-none-match": "*"}, {"if-match": "x"},
		{"x-amz-object-lock-mode": "NEITHER"}, {"x-amz-object-lock-retain-until-date": "x"}, {"x-amz-object-lock-legal-hold": "x"}, {"x-amz-trailer": "x-amz-checksum-crc32"}, {"expect": "200-ok"},
	} {
		all = append(all, nonsense{name: fmt.Sprintf("PUT with %v", c), Call: with(put, c)})
	}
	for _, name := range []string{"x-amz-storage-class", "x-amz-acl", "x-amz-tagging", "x-amz-server-side-encryption", "x-amz-object-lock-mode", "x-amz-website-redirect-location", "x-amz-expected-bucket-owner", "x-amz-copy-source", "x-amz-request-payer",
		"x-amz-checksum-crc32", "x-amz-decoded-content-length", "x-amz-sdk-checksum-algorithm", "x-amz-security-token", "x-amz-metadata-directive"} {
		all = append(all, nonsense{name: name + " twice", Call: with(put, map[string]string{name: "a,b"}), edit: split(name, "a", "b")})
		all = append(all, nonsense{name: name + " twice, unsigned", Call: put, edit: func(head string) string { return addLines(head, name+": a", name+": b") }})
	}
	for _, r := range []string{"bytes=99-", "bytes=99-100", "bytes=-0", "bytes=12-12"} {
		for _, method := range []string{"GET", "HEAD"} {
			all = append(all, nonsense{name: method + " of " + r, Call: with(s3test.Call{Method: method, Path: g.at("k")}, map[string]string{"range": r})})
		}
	}
	for _, c := range []map[string]string{
		{"if-match": `"none"`}, {"if-match": "none"}, {"if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, {"if-match": `"none"`, "if-none-match": `"none"`}, {"x-amz-server-side-encryption-customer-key": "x"},
		{"if-match": `"none"`, "range": "bytes=0-1"}, {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			all = append(all, nonsense{name: fmt.Sprintf("%s with %v", method, c), Call: with(s3test.Call{Method: method, Path: g.at("k")}, c)})
		}
	}
	for _, method := range []string{"PATCH", "TRACE", "CONNECT", "LINK", "PROPFIND", "MKCOL", "COPY", "MOVE", "get", "Put", "X", "LOCK", "PURGE", "QUERY"} {
		for _, path := range []string{"/", "/" + g.bucket, g.at("k")} {
			all = append(all, nonsense{name: method + " " + path, gone: true, Call: s3test.Call{Method: method, Path: path}})
		}
	}
	for _, query := range []string{"torrent", "select&select-type=2", "renameObject", "encryption", "x=y&acl=z&policy", "annotation", "nobody-knows-this", "acl&tagging", "legal-hold&retention", "versionId=null&versionId=null", "tagging&uploads", "%75ploads&acl", "website", "session"} {
		for _, method := range []string{"PUT", "POST"} {
			all = append(all, nonsense{name: method + " ?" + query, Call: s3test.Call{Method: method, Path: g.at("k"), Query: query, Body: body}})
		}
	}
	return all
}

// wireNonsense is sent verbatim. The proxy must not accept anything that another server in front of
// it could read differently.
func wireNonsense(_ testing.TB, g ground) (all []nonsense) {
	add := func(name, wire string) {
		all = append(all, nonsense{name: name, gone: true, wire: wire, Call: s3test.Call{Method: "PUT"}})
	}
	host := "Host: " + g.host + "\r\n"
	target := g.at("k")
	for _, line := range []string{"", "\r\n\r\n\r\n", "\n", "\x00", "x", "GET", "GET /", "GET / HTTP", "GET / HTTP/0.9", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/9.9", "GET / HTTP/1.1 x", "GET  / HTTP/1.1", "GET\t/\tHTTP/1.1", " GET / HTTP/1.1", "GET / http/1.1", "GET x HTTP/1.1", "GET * HTTP/1.1",
		"PRI * HTTP/2.0", "GET /\x00 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /a b HTTP/1.1", "GET /%zz HTTP/1.1", "GET http:// HTTP/1.1", "GET http://[::1 HTTP/1.1", "GET http://169.254.169.254/latest HTTP/1.1", "GET http://" + g.host + target + " HTTP/1.1", "GET //" + g.host + "/ HTTP/1.1", "GET file:///etc/passwd HTTP/1.1", "CONNECT " + g.host + " HTTP/1.1", "CONNECT /x HTTP/1.1",
		"G\x00T / HTTP/1.1", "G(T / HTTP/1.1", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "SSH-2.0-x", strings.Repeat("A", 20_000), "GET /" + strings.Repeat("a", 70_000) + " HTTP/1.1", "GET /?" + strings.Repeat("a", 70_000) + " HTTP/1.1"} {
		if line == "" {
			continue
		}
		add(fmt.Sprintf("the line %.60q", line), line+"\r\n"+host+"\r\n")
	}
	for _, lines := range []string{
		"Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1, 2\r\n", "Content-Length: 1,1\r\n", "Content-Length: -1\r\n", "Content-Length: +1\r\n", "Content-Length: 0x1\r\n", "Content-Length: 1 1\r\n", "Content-Length: \r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length: x\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding : chunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", " Transfer-Encoding: chunked\r\n", "X: y\r\n Transfer-Encoding: chunked\r\n", "X: a\r\n\tb\r\n", "X y: z\r\n", "X\x00: y\r\n", "X: \x00\r\n", ": x\r\n", "X\r\n", "X: a\rb\r\n", "X: a\nContent-Length: 5\r\n", "X: \x7f\r\n",
		"Host: other\r\n", "X(: y\r\n", "Content-Length: 1\nContent-Length: 2\n", "X-Amz-Date : x\r\n", "Content_Length: 1\r\n", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n", "Connection: authorization\r\n", "Expect: 100-continue\r\nContent-Length: 1\r\n", "X: " + strings.Repeat("a", 17<<10) + "\r\n",
		strings.Repeat("X: a\r\n", 3000), "X-Forwarded-Host: other\r\nX-Original-URL: /" + g.victim + "/k\r\nX-Rewrite-URL: /" + g.victim + "/k\r\n", "X-HTTP-Method-Override: DELETE\r\n", "Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n",
	} {
		add(fmt.Sprintf("the lines %.70q", lines), "PUT "+target+" HTTP/1.1\r\n"+host+lines+"\r\nx\r\n0\r\n\r\n")
		add(fmt.Sprintf("the lines %.70q before the host", lines), "PUT "+target+" HTTP/1.1\r\n"+lines+host+"\r\nx\r\n0\r\n\r\n")
	}
	for _, chunks := range []string{"", "x", "1", "1\r\n", "1\r\nx", "1\r\nx\r\n", "-1\r\nx\r\n0\r\n\r\n", "0x1\r\nx\r\n0\r\n\r\n", "1;\r\nx\r\n0\r\n\r\n", "1;a=\"\n\"\r\nx\r\n0\r\n\r\n", "ffffffffffffffff\r\nx", "11111111111111111\r\nx", "1\nx\n0\n\n", "2\r\nx\r\n0\r\n\r\n", "1\r\nxx\r\n0\r\n\r\n", "1;" + strings.Repeat("a", 20_000) + "\r\nx\r\n0\r\n\r\n", "0\r\nX: y\r\n", "0\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n"} {
		all = append(all, nonsense{name: fmt.Sprintf("HTTP chunks %.50q", chunks), gone: true,
			Call: s3test.Call{Method: "PUT", Path: target, PayloadHash: s3test.UnsignedPayload, Body: []byte(chunks)},
			edit: func(head string) string {
				return addLines(withoutLine(head, "content-length"), "transfer-encoding: chunked")
			}})
	}
	for _, host := range []string{"", "Host: \r\n", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: ../x\r\n", "Host: " + g.victim + ".s3.amazonaws.com\r\n", "Host: [::1\r\n", "Host: \x00\r\n", "Host: a/b\r\n", "Host: user@a\r\n", "Host: " + strings.Repeat("h", 300) + "\r\n"} {
		add(fmt.Sprintf("the host %.40q", host), "GET "+target+" HTTP/1.1\r\n"+host+"\r\n")
	}
	return all
}

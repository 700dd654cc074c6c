package hostile

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// signatureNonsense is signed in every wrong way, for reading and for writing.
func signatureNonsense(_ testing.TB, g ground) (all []nonsense) {
	now := time.Now().UTC()
	day := now.Format("20060102")
	scope := day + "/us-east-1/s3/aws4_request"
	zeros := strings.Repeat("0", 64)
	valid := func(credential, headers, signature string) string {
		return s3test.SignatureV4 + " Credential=" + credential + ", SignedHeaders=" + headers + ", Signature=" + signature
	}
	names := "host;x-amz-content-sha256;x-amz-date"
	for _, header := range []string{
		"x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 ,,", "AWS4-HMAC-SHA256 what", "AWS key:signature", "AWS4-ECDSA-P256-SHA256 Credential=a", "Basic dXNlcjpwYXNz", "Bearer token", "aws4-hmac-sha256 x",
		valid("", names, zeros), valid(g.AccessKey, names, zeros), valid(g.AccessKey+"/"+day, names, zeros), valid(g.AccessKey+"/"+scope, "", zeros), valid(g.AccessKey+"/"+scope, names, ""),
		valid(g.AccessKey+"/"+scope, names, zeros), valid(g.AccessKey+"/"+scope, names, "zz"), valid(g.AccessKey+"/"+scope, names, strings.Repeat("0", 4000)),
		valid("/"+scope, names, zeros), valid("nobody/"+scope, names, zeros), valid("../../x/"+scope, names, zeros), valid(g.AccessKey+"/20200101/us-east-1/s3/aws4_request", names, zeros),
		valid(g.AccessKey+"/"+day+"/us-east-1/iam/aws4_request", names, zeros), valid(g.AccessKey+"/"+day+"/us-east-1/s3/aws5_request", names, zeros), valid(g.AccessKey+"/"+day+"/eu-west-1/s3/aws4_request", names, zeros),
		valid(g.AccessKey+"/"+scope, "x-amz-date", zeros), valid(g.AccessKey+"/"+scope, "host;host", zeros), valid(g.AccessKey+"/"+scope, "HOST;X-Amz-Date", zeros), valid(g.AccessKey+"/"+scope, ";;;", zeros),
		valid(g.AccessKey+"/"+scope, "host;x-amz-not-there", zeros), valid(g.AccessKey+"/"+scope, names, zeros) + ", Signature=" + zeros, valid(g.AccessKey+"/"+scope, names, zeros) + ",",
		strings.ReplaceAll(valid(g.AccessKey+"/"+scope, names, zeros), ", ", " "), strings.ReplaceAll(valid(g.AccessKey+"/"+scope, names, zeros), "=", ":"), strings.Repeat("A", 7000), "AWS4-HMAC-SHA256\tCredential=x",
	} {
		for _, c := range []s3test.Call{{Method: "GET"}, {Method: "PUT", Body: []byte("x")}, {Method: "DELETE"}} {
			c.Path, c.AuthHeader = g.at("k"), header
			all = append(all, nonsense{name: c.Method + " with " + header, Call: c})
		}
	}
	for name, c := range map[string]s3test.Call{
		"another secret":      {Secret: "wrong"},
		"nobody":              {AccessKey: "nobody"},
		"the proxy's own key": {AccessKey: "store-access-key", Secret: "store+secret/0d9f7Kq3mZ1vXn5Rb8Tw"},
		"too old":             {At: now.Add(-16 * time.Minute)},
		"too early":           {At: now.Add(16 * time.Minute)},
		"of the year 2":       {At: time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC)},
		"of the year 9999":    {At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"unsigned":            {Unsigned: true},
		"a hash that is none": {PayloadHash: "abc"},
		"of another body":     {PayloadHash: zeros, Body: []byte("x")},
		"a hash in capitals":  {PayloadHash: strings.ToUpper(s3test.EmptySHA256)},
		"an unknown stream":   {PayloadHash: "STREAMING-AWS4-HMAC-SHA512-PAYLOAD"},
		"a stream to nothing": {PayloadHash: s3test.SignedStream},
		"a token":             {Headers: map[string]string{"x-amz-security-token": "x"}},
	} {
		for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
			if method != "PUT" && (name == "of another body" || name == "a hash in capitals" || name == "a token") {
				continue // only requests with a body read this header
			}
			if name == "a hash in capitals" {
				continue // the same number
			}
			c.Method, c.Path = method, g.at("k")
			all = append(all, nonsense{name: method + ", " + name, Call: c})
		}
	}
	put := s3test.Call{Method: "PUT", Path: g.at("k"), Body: []byte("x")}
	for _, date := range []string{"", "x", "2020", "20200101T000000Z", "Mon, 01 Jan 2020 00:00:00 GMT", "20201301T000000Z", "99999999T999999Z", now.Format(time.RFC3339), "-1", strings.Repeat("9", 500)} {
		all = append(all, nonsense{name: "dated " + date, Call: put, edit: setLine("x-amz-date", date)})
	}
	for _, header := range []string{"x-amz-date", "host", "authorization", "x-amz-content-sha256"} {
		all = append(all, nonsense{name: "without " + header, Call: put, edit: func(head string) string { return withoutLine(head, header) }})
		all = append(all, nonsense{name: header + " twice", Call: put, edit: func(head string) string { return addLines(head, lineOf(head, header)) }})
		all = append(all, nonsense{name: header + " twice, once other", Call: put, edit: func(head string) string { return addLines(head, header+": other") }})
	}
	for _, line := range []string{"x-amz-meta-a: b", "x-amz-acl: private", "x-amz-copy-source: /" + g.victim + "/k", "x-amz-tagging: a=b", "x-amz-storage-class: STANDARD", "x-amz-server-side-encryption: AES256"} {
		all = append(all, nonsense{name: "with an unsigned " + line, Call: put, edit: func(head string) string { return addLines(head, line) }})
	}
	for _, change := range [][2]string{{"/k ", "/other "}, {"PUT ", "DELETE "}, {"PUT ", "POST "}, {"/k ", "/k?tagging= "}, {"/k ", "/k/ "}, {"/k ", "//k "}, {"/k ", "/../" + g.victim + "/k "}, {"/" + g.bucket + "/", "/" + g.victim + "/"}} {
		all = append(all, nonsense{name: fmt.Sprintf("signed for another place: %q", change), Call: put, edit: func(head string) string { return strings.Replace(head, change[0], change[1], 1) }})
	}
	return all
}

// presignedNonsense are URLs in which a part of the signature is wrong, missing or doubled.
func presignedNonsense(_ testing.TB, g ground) (all []nonsense) {
	for _, method := range []string{"GET", "PUT"} {
		good := s3test.Call{Method: method, Path: g.at("k")}.Presign(g.S3, time.Minute)
		parts := strings.Split(good.Query, "&")
		for i, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			for _, other := range []string{"", "x", "-1", "0", "604801", "99999999999999999999", "%00", "%zz", "..%2F..", "1e3", "%2B60", "%20" + value, value + "%0a", strings.ToLower(value) + "x"} {
				changed := strings.Split(good.Query, "&")
				changed[i] = name + "=" + other
				c := good
				c.Query = strings.Join(changed, "&")
				all = append(all, nonsense{name: method + " with " + name + "=" + other, Call: c})
			}
			left, twice, lower := good, good, good
			left.Query = strings.Join(append(append([]string{}, parts[:i]...), parts[i+1:]...), "&")
			twice.Query += "&" + part
			lower.Query = strings.Replace(good.Query, name, strings.ToLower(name), 1)
			all = append(all, nonsense{name: method + " without " + name, Call: left}, nonsense{name: method + " with " + name + " twice", Call: twice}, nonsense{name: method + " with " + name + " in lower case", Call: lower})
		}
		for _, further := range []string{"versionId=x", "acl", "uploadId=" + url.QueryEscape(g.upload), "x-amz-acl=public-read", "x-amz-meta-a=b", "X-Amz-Security-Token=x", "response-content-type=text%2Fhtml", "AWSAccessKeyId=x&Signature=y&Expires=9"} {
			c := good
			c.Query += "&" + further
			all = append(all, nonsense{name: method + " with " + further + " added", Call: c})
		}
		old := s3test.Call{Method: method, Path: g.at("k"), Query: "AWSAccessKeyId=" + g.AccessKey + "&Expires=9999999999&Signature=x", Unsigned: true}
		all = append(all, nonsense{name: method + " of version 2", Call: old})
		both := good
		both.Unsigned = false
		all = append(all, nonsense{name: method + " signed twice", Call: both})
		for _, valid := range []time.Duration{0, -time.Minute, 8 * 24 * time.Hour} {
			all = append(all, nonsense{name: method + " valid for " + valid.String(), Call: s3test.Call{Method: method, Path: g.at("k")}.Presign(g.S3, valid)})
		}
		for _, ago := range []time.Duration{2 * time.Minute, -time.Hour, 24 * time.Hour} {
			all = append(all, nonsense{name: method + " from " + ago.String() + " ago", Call: s3test.Call{Method: method, Path: g.at("k"), At: time.Now().Add(-ago)}.Presign(g.S3, time.Minute)})
		}
	}
	return all
}

// lineOf returns a header's line without its line end.
func lineOf(head, name string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if before, _, _ := strings.Cut(line, ":"); strings.EqualFold(before, name) {
			return line
		}
	}
	return name + ": "
}

func withoutLine(head, name string) string {
	return strings.Replace(head, lineOf(head, name)+"\r\n", "", 1)
}

// addLines adds lines after all others.
func addLines(head string, lines ...string) string {
	return strings.TrimSuffix(head, "\r\n") + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// setLine replaces a header's value after signing.
func setLine(name, value string) func(string) string {
	return func(head string) string { return addLines(withoutLine(head, name), name+": "+value) }
}

// split turns one header with a list as its value into two, which have the same signature.
func split(name, first, second string) func(string) string {
	return func(head string) string {
		return strings.Replace(head, name+": "+first+","+second+"\r\n", name+": "+first+"\r\n"+name+": "+second+"\r\n", 1)
	}
}

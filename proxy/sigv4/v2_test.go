package sigv4

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// v2Verifier allows all of version 2. Its hosts are those of AWS's examples.
func v2Verifier(now time.Time) *Verifier {
	v := exampleVerifier()
	v.V2, v.Now = V2All, func() time.Time { return now }
	v.HostedBucket = func(host string) string {
		if host == "static.johnsmith.net:8080" {
			return "static.johnsmith.net"
		}
		bucket, _ := strings.CutSuffix(host, ".s3.amazonaws.com")
		return strings.TrimSuffix(bucket, host)
	}
	return v
}

// The examples are AWS's, but for the DELETE: there AWS's text leaves out the x-amz-date that the
// request has, so it is dated by Date here.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationExamples
func TestTheExamplesOfVersion2Verify(t *testing.T) {
	const host = "http://johnsmith.s3.amazonaws.com"
	for name, c := range map[string]struct {
		method, target, date, signature string
		header                          http.Header
	}{
		"GET":     {"GET", host + "/photos/puppy.jpg", "Tue, 27 Mar 2007 19:36:42 +0000", "bWq2s1WEIj+Ydj0vQ697zp+IXMU=", nil},
		"PUT":     {"PUT", host + "/photos/puppy.jpg", "Tue, 27 Mar 2007 21:15:45 +0000", "MyyxeRY7whkBe+bq8fHCL/2kKUg=", http.Header{"Content-Type": {"image/jpeg"}, "Content-Length": {"94328"}}},
		"list":    {"GET", host + "/?prefix=photos&max-keys=50&marker=puppy", "Tue, 27 Mar 2007 19:42:41 +0000", "htDYFYduRNen8P9ZfE/s9SuKy0U=", http.Header{"User-Agent": {"Mozilla/5.0"}}},
		"fetch":   {"GET", host + "/?acl", "Tue, 27 Mar 2007 19:44:46 +0000", "c2WLPFtWHVgbEmeEG93a4cG37dM=", nil},
		"delete":  {"DELETE", "http://s3.amazonaws.com/johnsmith/photos/puppy.jpg", "Tue, 27 Mar 2007 21:20:26 +0000", "lx3byBScXR6KzyMaifNkardMwNk=", nil},
		"service": {"GET", "http://s3.amazonaws.com/", "Wed, 28 Mar 2007 01:29:59 +0000", "qGdzdERIC03wnaRNKh6OqZehG9s=", nil},
		"unicode": {"GET", "http://s3.amazonaws.com/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "Wed, 28 Mar 2007 01:49:49 +0000", "DNEZGsoieTZ92F3bUfSPQcbGmlM=", nil},
		"upload": {"PUT", "http://static.johnsmith.net:8080/db-backup.dat.gz", "Tue, 27 Mar 2007 21:06:08 +0000", "ilyl83RwaSoYIEdixDQcA4OnAnc=", http.Header{
			"X-Amz-Acl": {"public-read"}, "Content-Type": {"application/x-download"}, "Content-Md5": {"4gJE4saaMU4BqNR0kLY+lw=="},
			"X-Amz-Meta-Reviewedby": {"joe@johnsmith.net", "jane@johnsmith.net"}, "X-Amz-Meta-Filechecksum": {"0x02661779"}, "X-Amz-Meta-Checksumalgorithm": {"crc32"},
			"Content-Disposition": {"attachment; filename=database.dat"}, "Content-Encoding": {"gzip"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			now, err := time.Parse(time.RFC1123Z, c.date)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(c.method, c.target, nil)
			for name, values := range c.header {
				r.Header[name] = values
			}
			r.Header.Set("Date", c.date)
			r.Header.Set("Authorization", "AWS "+exampleID+":"+c.signature)
			auth, err := v2Verifier(now).Verify(r)
			if err != nil || auth.AccessKeyID != exampleID || auth.Presigned || !auth.V2 || auth.Payload != UnsignedPayload || !auth.Signed() {
				t.Fatalf("%+v, %v", auth, err)
			}
			r.Header.Set("Authorization", "AWS "+exampleID+":"+strings.ToUpper(c.signature[:1])+"x"+c.signature[2:])
			_, err = v2Verifier(now).Verify(r)
			wantRefused(t, err, s3err.SignatureDoesNotMatch, "")
		})
	}
	r := httptest.NewRequest("GET", host+"/photos/puppy.jpg?AWSAccessKeyId="+exampleID+"&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620", nil)
	if auth, err := v2Verifier(time.Unix(1175139619, 0)).Verify(r); err != nil || auth.AccessKeyID != exampleID || !auth.Presigned || !auth.V2 {
		t.Errorf("query: %+v, %v", auth, err)
	}
}

// presignV2 gives a URL that is good for an hour. sub is what of the query is signed, as it is
// in the text; amz are the lines of the headers.
func presignV2(method, target, sub, amz, kind string) *http.Request {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	expires := fmt.Sprint(exampleTime.Add(time.Hour).Unix())
	signature := macV2(exampleSecret, method+"\n\n"+kind+"\n"+expires+"\n"+amz+u.EscapedPath()+sub)
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "AWSAccessKeyId=" + exampleID + "&Signature=" + url.QueryEscape(signature) + "&Expires=" + expires
	return httptest.NewRequest(method, u.String(), nil)
}

const v2Target = "http://s3.test/bucket/a%20key"

func TestWhatVersion2SignsOfAURLMayBeInIt(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"an object":    presignV2("GET", v2Target, "", "", ""),
		"HEAD":         presignV2("HEAD", v2Target, "", "", ""),
		"a version":    presignV2("GET", v2Target+"?versionId=a%2Fb", "?versionId=a/b", "", ""),
		"overrides":    presignV2("GET", v2Target+"?response-content-type=text%2Fx&response-cache-control=no-store", "?response-cache-control=no-store&response-content-type=text/x", "", ""),
		"an ampersand": presignV2("GET", v2Target+"?response-content-disposition=a%26b%3Dc", "?response-content-disposition=a&b=c", "", ""),
		"a part":       presignV2("PUT", v2Target+"?uploadId=u&partNumber=3", "?partNumber=3&uploadId=u", "", ""),
		"a mark":       presignV2("GET", v2Target+"?tagging", "?tagging", "", ""),
		"headers of botocore": func() *http.Request {
			r := presignV2("PUT", v2Target+"?x-amz-meta-b=c&x-amz-acl=private&content-type=text%2Fx", "", "x-amz-acl:private\nx-amz-meta-b:c\n", "text/x")
			r.Header.Set("Content-Type", "text/x")
			return r
		}(),
		"headers of the request": func() *http.Request {
			r := presignV2("PUT", v2Target, "", "x-amz-acl:private\nx-amz-meta-b:c\n", "")
			r.Header.Set("X-Amz-Meta-B", "c")
			r.Header.Set("X-Amz-Acl", "private")
			return r
		}(),
	} {
		if auth, err := v2Verifier(exampleTime).Verify(r); err != nil || auth.AccessKeyID != exampleID || !auth.Presigned || !auth.V2 {
			t.Errorf("%s: %+v, %v", name, auth, err)
		}
	}
}

func TestAURLOfVersion2ThatDoesNotFitIsRefused(t *testing.T) {
	query := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Set(name, value)
			if value == "" {
				q.Del(name)
			}
			r.URL.RawQuery = q.Encode()
		}
	}
	add := func(raw string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery += "&" + raw } }
	rename := func(name, to string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, name+"=", to+"=", 1) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   *s3err.Error
		text   string
	}{
		"no access key":                 {query("AWSAccessKeyId", ""), s3err.AccessDenied, errQueryV2.Message},
		"no signature":                  {query("Signature", ""), s3err.AccessDenied, errQueryV2.Message},
		"no expiry":                     {query("Expires", ""), s3err.AccessDenied, errQueryV2.Message},
		"a small access key":            {rename("AWSAccessKeyId", "awsaccesskeyid"), s3err.AccessDenied, errQueryV2.Message},
		"a small signature":             {rename("Signature", "signature"), s3err.AccessDenied, errQueryV2.Message},
		"a small expiry":                {rename("Expires", "expires"), s3err.AccessDenied, errQueryV2.Message},
		"all in capitals":               {func(r *http.Request) { r.URL.RawQuery = "AWSACCESSKEYID=a&SIGNATURE=b&EXPIRES=1" }, s3err.AccessDenied, errQueryV2.Message},
		"a further small expiry":        {add("expires=99999999999"), s3err.AccessDenied, ""},
		"a further small signature":     {add("signature=x"), s3err.AccessDenied, ""},
		"the expiry twice":              {add("Expires=99999999999"), s3err.AccessDenied, errQueryV2.Message},
		"the signature twice":           {add("Signature=x"), s3err.AccessDenied, errQueryV2.Message},
		"the access key twice":          {add("AWSAccessKeyId=" + exampleID), s3err.AccessDenied, errQueryV2.Message},
		"a later expiry":                {query("Expires", "99999999999"), s3err.SignatureDoesNotMatch, ""},
		"an expiry in words":            {query("Expires", "soon"), s3err.AccessDenied, "Invalid date (should be seconds since epoch): soon"},
		"a negative expiry":             {query("Expires", "-1"), s3err.AccessDenied, ""},
		"an expiry with a sign":         {query("Expires", "+99999999999"), s3err.AccessDenied, "Invalid date (should be seconds since epoch): +99999999999"},
		"more than a number has":        {query("Expires", "99999999999999999999"), s3err.AccessDenied, ""},
		"a number past every date":      {query("Expires", "9223372036854775807"), s3err.SignatureDoesNotMatch, ""},
		"a date":                        {query("Expires", exampleTime.Add(time.Hour).Format(http.TimeFormat)), s3err.AccessDenied, ""},
		"expired":                       {query("Expires", fmt.Sprint(exampleTime.Unix())), s3err.AccessDenied, "Request has expired."},
		"a forged signature":            {query("Signature", "NpgCjnDzrM+WFzoENXmpNDUsSn8="), s3err.SignatureDoesNotMatch, ""},
		"the signature without padding": {func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "%3D&Expires", "&Expires", 1) }, s3err.SignatureDoesNotMatch, ""},
		"an unknown access key":         {query("AWSAccessKeyId", "nobody"), s3err.InvalidAccessKeyId, ""},
		"another method":                {func(r *http.Request) { r.Method = "DELETE" }, s3err.SignatureDoesNotMatch, ""},
		"HEAD":                          {func(r *http.Request) { r.Method = "HEAD" }, s3err.SignatureDoesNotMatch, ""},
		"another path":                  {func(r *http.Request) { r.URL.Path, r.URL.RawPath, r.RequestURI = "/bucket/other", "", "" }, s3err.SignatureDoesNotMatch, ""},
		"a path that cleans to it":      {func(r *http.Request) { r.RequestURI = "/bucket/./a%20key?" + r.URL.RawQuery }, s3err.SignatureDoesNotMatch, ""},
		"a bucket in the host":          {func(r *http.Request) { r.Host = "other.s3.amazonaws.com" }, s3err.SignatureDoesNotMatch, ""},
		"another version":               {query("versionId", "2"), s3err.SignatureDoesNotMatch, ""},
		"no version":                    {query("versionId", ""), s3err.SignatureDoesNotMatch, ""},
		"the version twice":             {add("versionId=1"), s3err.InvalidArgument, ""},
		"a small version":               {rename("versionId", "versionid"), s3err.AccessDenied, notCoveredText},
		"a mark":                        {add("acl"), s3err.SignatureDoesNotMatch, ""},
		"a mark in capitals":            {add("ACL"), s3err.AccessDenied, notCoveredText},
		"tags":                          {add("tagging"), s3err.SignatureDoesNotMatch, ""},
		"an upload":                     {add("uploadId=u&partNumber=1"), s3err.SignatureDoesNotMatch, ""},
		"a part":                        {add("partNumber=1"), s3err.SignatureDoesNotMatch, ""},
		"an override":                   {add("response-expires=x"), s3err.SignatureDoesNotMatch, ""},
		"attributes":                    {add("attributes"), s3err.AccessDenied, notCoveredText},
		"a retention":                   {add("retention"), s3err.AccessDenied, notCoveredText},
		"encryption":                    {add("encryption"), s3err.AccessDenied, notCoveredText},
		"a prefix":                      {add("prefix="), s3err.AccessDenied, notCoveredText},
		"a list":                        {add("list-type=2"), s3err.AccessDenied, notCoveredText},
		"the name of an operation":      {add("x-id=GetObject"), s3err.AccessDenied, notCoveredText},
		"an unknown parameter":          {add("what"), s3err.AccessDenied, notCoveredText},
		"no name":                       {add("=x"), s3err.AccessDenied, notCoveredText},
		"a copy's source":               {header("X-Amz-Copy-Source", "/other/key"), s3err.SignatureDoesNotMatch, ""},
		"a copy's source in the query":  {add("x-amz-copy-source=%2Fother%2Fkey"), s3err.SignatureDoesNotMatch, ""},
		"an ACL":                        {header("X-Amz-Acl", "public-read"), s3err.SignatureDoesNotMatch, ""},
		"an ACL in the query":           {add("x-amz-acl=public-read"), s3err.SignatureDoesNotMatch, ""},
		"an ACL in capitals":            {add("X-Amz-Acl=private"), s3err.AccessDenied, notCoveredText},
		"the metadata in capitals":      {rename("x-amz-meta-a", "X-Amz-Meta-A"), s3err.AccessDenied, notCoveredText},
		"a capital in the metadata":     {rename("x-amz-meta-a", "x-amz-meta-A"), s3err.AccessDenied, notCoveredText},
		"the metadata otherwise, too":   {header("X-Amz-Meta-A", "c"), s3err.InvalidArgument, ""},
		"the metadata twice":            {add("x-amz-meta-a=b"), s3err.InvalidArgument, ""},
		"metadata with a colon": {func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "x-amz-meta-a=b", "x-amz-meta-a:b=", 1)
		}, s3err.AccessDenied, notCoveredText},
		"metadata of two lines":          {query("x-amz-meta-a", "b\nx-amz-meta-c:d"), s3err.AccessDenied, notCoveredText},
		"metadata with a space":          {query("x-amz-meta-a", " b"), s3err.AccessDenied, notCoveredText},
		"a hash in the query":            {add("x-amz-content-sha256=" + emptySum), s3err.AccessDenied, notCoveredText},
		"a hash":                         {header("X-Amz-Content-Sha256", emptySum), s3err.SignatureDoesNotMatch, ""},
		"signed chunks":                  {header("X-Amz-Content-Sha256", streamingSigned), s3err.InvalidRequest, ErrPayloadUse.Message},
		"unsigned chunks":                {header("X-Amz-Content-Sha256", streamingUnsignedTrailer), s3err.InvalidRequest, ErrPayloadUse.Message},
		"a bad hash":                     {header("X-Amz-Content-Sha256", "x"), s3err.InvalidArgument, ""},
		"a session token":                {header("X-Amz-Security-Token", "t"), s3err.InvalidToken, ""},
		"a session token in the query":   {add("x-amz-security-token=t"), s3err.InvalidToken, ""},
		"a type":                         {header("Content-Type", "text/html"), s3err.SignatureDoesNotMatch, ""},
		"a type in the query":            {add("content-type=text%2Fhtml"), s3err.AccessDenied, notCoveredText},
		"an MD5":                         {header("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), s3err.SignatureDoesNotMatch, ""},
		"an MD5 in the query":            {add("content-md5=1B2M2Y8AsgTpgAmY7PhCfg%3D%3D"), s3err.AccessDenied, notCoveredText},
		"two types":                      {func(r *http.Request) { r.Header["Content-Type"] = []string{"", "text/html"} }, s3err.InvalidArgument, ""},
		"a part of version 4":            {add("X-Amz-Signature=x"), s3err.InvalidArgument, errOneMechanism.Message},
		"a small part of version 4":      {add("x-amz-credential=x"), s3err.InvalidArgument, errOneMechanism.Message},
		"a life of version 4":            {add("X-Amz-Expires=604800"), s3err.InvalidArgument, errOneMechanism.Message},
		"a header of version 4":          {header("Authorization", algorithm+" Credential="+exampleScope), s3err.InvalidArgument, errOneMechanism.Message},
		"a header of version 2":          {header("Authorization", "AWS "+exampleID+":x"), s3err.InvalidArgument, errOneMechanism.Message},
		"a bad escape":                   {add("a=%4"), s3err.InvalidURI, ""},
		"a control character in a value": {query("versionId", "1\x00"), s3err.AccessDenied, notCoveredText},
		"the version within an override": {func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "response-content-type=a&versionId=1", "response-content-type=a%26versionId%3D1", 1)
		}, s3err.AccessDenied, notCoveredText},
	} {
		t.Run(name, func(t *testing.T) {
			r := presignV2("GET", v2Target+"?response-content-type=a&versionId=1&x-amz-meta-a=b", "?response-content-type=a&versionId=1", "x-amz-meta-a:b\n", "")
			if _, err := v2Verifier(exampleTime).Verify(r); err != nil {
				t.Fatal("before the change:", err)
			}
			signature := url.QueryEscape(r.URL.Query().Get("Signature"))
			c.change(r)
			auth, err := v2Verifier(exampleTime).Verify(r)
			refused := wantRefused(t, err, c.want, c.text)
			if auth != nil {
				t.Errorf("refused, and all the same %+v", auth)
			}
			w := httptest.NewRecorder()
			refused.Write(w, r, "/bucket/key", "", "")
			if decoded, _ := url.QueryUnescape(signature); strings.Contains(w.Body.String(), decoded) || strings.Contains(w.Body.String(), signature) {
				t.Errorf("the answer has the signature: %s", w.Body)
			}
		})
	}
}

var notCoveredText = notCoveredV2("").(*s3err.Error).Message

func TestAURLOfVersion2IsGoodUntilItsExpiry(t *testing.T) {
	r := presignV2("GET", v2Target, "", "", "")
	for late, good := range map[time.Duration]bool{
		0: true, time.Hour - time.Second: true, time.Hour - time.Nanosecond: true, time.Hour: false, time.Hour + time.Second: false, 365 * 24 * time.Hour: false, -100 * 24 * time.Hour: true,
	} {
		_, err := v2Verifier(exampleTime.Add(late)).Verify(r)
		if good != (err == nil) {
			t.Errorf("%v late: %v", late, err)
		}
		if !good {
			if e := wantRefused(t, err, s3err.AccessDenied, "Request has expired."); e.Field("Expires") != "2013-05-24T01:00:00Z" || e.Field("ServerTime") == "" {
				t.Errorf("%+v", e.Fields)
			}
		}
	}
}

func TestVersion2IsForWhatIsAllowed(t *testing.T) {
	for mode, allowed := range map[V2][2]bool{V2Off: {false, false}, V2Presigned: {true, false}, V2All: {true, true}} {
		v := v2Verifier(exampleTime)
		v.V2 = mode
		for i, r := range []*http.Request{presignV2("GET", v2Target, "", "", ""), headerV2("GET", v2Target, nil)} {
			_, err := v.Verify(r)
			if allowed[i] != (err == nil) {
				t.Errorf("mode %d, request %d: %v", mode, i, err)
			}
			if err != nil {
				wantRefused(t, err, s3err.InvalidRequest, errUnsupportedMechanism.Message)
			}
		}
		_, _, err := v.VerifyForm(formV2(`{"expiration": "2100-01-01T00:00:00Z", "conditions": []}`))
		if allowed[1] != (err == nil) {
			t.Errorf("mode %d, a form: %v", mode, err)
		}
	}
}

// headerV2 is a request at the time of the examples, changed before it is signed.
func headerV2(method, target string, change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Date", exampleTime.Format(http.TimeFormat))
	if change != nil {
		change(r)
	}
	date := r.Header.Get("Date")
	if r.Header.Get("X-Amz-Date") != "" {
		date = ""
	}
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		panic(err)
	}
	text, err := stringToSignV2(r, v2Verifier(exampleTime).pathV2(r), q, date, false)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "AWS "+exampleID+":"+macV2(exampleSecret, text))
	return r
}

func TestAHeaderOfVersion2ThatDoesNotFitIsRefused(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   *s3err.Error
		text   string
	}{
		"no colon":      {set("Authorization", "AWS "+exampleID), s3err.InvalidArgument, errHeaderV2.Message},
		"no access key": {set("Authorization", "AWS :x"), s3err.InvalidArgument, errHeaderV2.Message},
		"no signature":  {set("Authorization", "AWS "+exampleID+":"), s3err.InvalidArgument, errHeaderV2.Message},
		"two spaces": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), " ", "  ", 1))
		}, s3err.InvalidArgument, errHeaderV2.Message},
		"a small scheme": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "AWS", "aws", 1))
		}, s3err.InvalidArgument, ""},
		"another access key": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), exampleID, "nobody", 1))
		}, s3err.InvalidAccessKeyId, ""},
		"two headers":          {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, s3err.InvalidArgument, ""},
		"no date":              {func(r *http.Request) { r.Header.Del("Date") }, s3err.AccessDenied, errNoDate.Message},
		"a number for a date":  {set("Date", fmt.Sprint(exampleTime.Add(time.Hour).Unix())), s3err.AccessDenied, errNoDate.Message},
		"two dates":            {func(r *http.Request) { r.Header.Add("Date", r.Header.Get("Date")) }, s3err.AccessDenied, errNoDate.Message},
		"a late date":          {set("Date", exampleTime.Add(16*time.Minute).Format(http.TimeFormat)), s3err.RequestTimeTooSkewed, ""},
		"an early date":        {set("Date", exampleTime.Add(-16*time.Minute).Format(http.TimeFormat)), s3err.RequestTimeTooSkewed, ""},
		"another date":         {set("Date", exampleTime.Add(time.Minute).Format(http.TimeFormat)), s3err.SignatureDoesNotMatch, ""},
		"a further date":       {set("X-Amz-Date", "20130524T000000Z"), s3err.SignatureDoesNotMatch, ""},
		"another method":       {func(r *http.Request) { r.Method = "PUT" }, s3err.SignatureDoesNotMatch, ""},
		"another path":         {func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/bucket/other", "" }, s3err.SignatureDoesNotMatch, ""},
		"a mark":               {func(r *http.Request) { r.URL.RawQuery += "&acl" }, s3err.SignatureDoesNotMatch, ""},
		"an unsigned mark":     {func(r *http.Request) { r.URL.RawQuery += "&encryption" }, s3err.AccessDenied, notCoveredText},
		"a life":               {func(r *http.Request) { r.URL.RawQuery += "&Expires=99999999999" }, s3err.AccessDenied, notCoveredText},
		"a header in query":    {func(r *http.Request) { r.URL.RawQuery += "&x-amz-acl=private" }, s3err.AccessDenied, notCoveredText},
		"the parameter twice":  {func(r *http.Request) { r.URL.RawQuery += "&prefix=b" }, s3err.InvalidArgument, ""},
		"an ACL":               {set("X-Amz-Acl", "private"), s3err.SignatureDoesNotMatch, ""},
		"other metadata":       {set("X-Amz-Meta-A", "c"), s3err.SignatureDoesNotMatch, ""},
		"further metadata":     {func(r *http.Request) { r.Header.Add("X-Amz-Meta-A", "c") }, s3err.SignatureDoesNotMatch, ""},
		"a type":               {set("Content-Type", "text/html"), s3err.SignatureDoesNotMatch, ""},
		"an MD5":               {set("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), s3err.SignatureDoesNotMatch, ""},
		"chunks":               {set("X-Amz-Content-Sha256", streamingSigned), s3err.InvalidRequest, ErrPayloadUse.Message},
		"a session token":      {set("X-Amz-Security-Token", "t"), s3err.InvalidToken, ""},
		"version 4 in a query": {func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Date=x" }, s3err.InvalidArgument, errOneMechanism.Message},
		"version 2 in a query": {func(r *http.Request) { r.URL.RawQuery += "&Signature=x" }, s3err.InvalidArgument, errOneMechanism.Message},
	} {
		t.Run(name, func(t *testing.T) {
			r := headerV2("GET", "http://s3.test/bucket?prefix=a&uploads", func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") })
			if _, err := v2Verifier(exampleTime).Verify(r); err != nil {
				t.Fatal("before the change:", err)
			}
			c.change(r)
			_, err := v2Verifier(exampleTime).Verify(r)
			wantRefused(t, err, c.want, c.text)
		})
	}
}

// botocore signs a bucket as "/bucket/" and sends "/bucket", which mean the same.
func TestABucketMayBeSignedWithASlashBehindIt(t *testing.T) {
	for target, good := range map[string]bool{"/bucket": true, "/bucket/": true, "/bucket//": false, "/bucke": false, "/": false} {
		r := presignV2("GET", "http://s3.test/bucket/?acl", "?acl", "", "")
		query := r.URL.RawQuery
		r = httptest.NewRequest("GET", "http://s3.test"+target+"?"+query, nil)
		if _, err := v2Verifier(exampleTime).Verify(r); good != (err == nil) {
			t.Errorf("%s: %v", target, err)
		}
	}
	for signed, sent := range map[string]string{"/bucket/key/": "/bucket/key", "/bucket%2Fkey/": "/bucket%2Fkey", "//": "/"} {
		r := presignV2("GET", "http://s3.test"+signed, "", "", "")
		r = httptest.NewRequest("GET", "http://s3.test"+sent+"?"+r.URL.RawQuery, nil)
		_, err := v2Verifier(exampleTime).Verify(r)
		wantRefused(t, err, s3err.SignatureDoesNotMatch, "")
	}
}

func TestVersion2IsDatedAsClientsDo(t *testing.T) {
	for _, c := range [][2]string{
		{"Date", exampleTime.Format(http.TimeFormat)}, {"Date", exampleTime.Format(time.RFC1123Z)},
		{"X-Amz-Date", exampleTime.Format(http.TimeFormat)}, {"X-Amz-Date", exampleTime.Format(time.RFC1123Z)}, {"X-Amz-Date", exampleTime.Format(timeFormat)},
	} {
		r := headerV2("GET", v2Target, func(r *http.Request) { r.Header.Del("Date"); r.Header.Set(c[0], c[1]) })
		if _, err := v2Verifier(exampleTime.Add(15 * time.Minute)).Verify(r); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		_, err := v2Verifier(exampleTime.Add(15*time.Minute + time.Second)).Verify(r)
		wantRefused(t, err, s3err.RequestTimeTooSkewed, "")
	}
}

// A hash that a client gives without need is its word for the body, and signed.
func TestAHashInARequestOfVersion2IsVerified(t *testing.T) {
	r := headerV2("PUT", v2Target, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", emptySum) })
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader([]byte("x"))), 1
	auth, err := v2Verifier(exampleTime).Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := auth.Body(r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(body)
	wantRefused(t, err, s3err.XAmzContentSHA256Mismatch, "")
}

func formV2(policy string) map[string]string {
	encoded := base64.StdEncoding.EncodeToString([]byte(policy))
	return map[string]string{"key": "k", "awsaccesskeyid": exampleID, "policy": encoded, "signature": macV2(exampleSecret, encoded)}
}

func TestAFormOfVersion2ThatDoesNotFitIsRefused(t *testing.T) {
	const good = `{"expiration": "2013-05-25T00:00:00Z", "conditions": [{"bucket": "bucket"}, ["starts-with", "$key", "k"]]}`
	_, policy, err := v2Verifier(exampleTime).VerifyForm(formV2(good))
	if err != nil {
		t.Fatal(err)
	}
	if err := policy.Allow(formV2(good), "bucket", "k"); err != nil {
		t.Error(err)
	}
	wantRefused(t, policy.Allow(formV2(good), "bucket", "other"), s3err.AccessDenied, "")
	wantRefused(t, policy.Allow(formV2(good), "other", "k"), s3err.AccessDenied, "")
	more := formV2(good)
	more["x-amz-meta-a"] = "b"
	wantRefused(t, policy.Allow(more, "bucket", "k"), s3err.AccessDenied, "Invalid according to Policy: Extra input fields: x-amz-meta-a")
	for name, c := range map[string]struct {
		field, value string
		want         *s3err.Error
	}{
		"another signature":    {"signature", "NpgCjnDzrM+WFzoENXmpNDUsSn8=", s3err.SignatureDoesNotMatch},
		"no signature":         {"signature", "", s3err.InvalidArgument},
		"no access key":        {"awsaccesskeyid", "", s3err.InvalidArgument},
		"no policy":            {"policy", "", s3err.InvalidArgument},
		"another access key":   {"awsaccesskeyid", "nobody", s3err.InvalidAccessKeyId},
		"another policy":       {"policy", base64.StdEncoding.EncodeToString([]byte(strings.Replace(good, `"k"`, `""`, 1))), s3err.SignatureDoesNotMatch},
		"a session token":      {"x-amz-security-token", "t", s3err.InvalidToken},
		"version 4, too":       {"x-amz-signature", "x", s3err.InvalidArgument},
		"a key of version 4":   {"x-amz-credential", exampleScope, s3err.InvalidArgument},
		"a date of version 4":  {"x-amz-date", "20130524T000000Z", s3err.InvalidArgument},
		"an algorithm, though": {"x-amz-algorithm", algorithm, s3err.InvalidArgument},
	} {
		fields := formV2(good)
		if fields[c.field] = c.value; c.value == "" {
			delete(fields, c.field)
		}
		auth, policy, err := v2Verifier(exampleTime).VerifyForm(fields)
		if wantRefused(t, err, c.want, ""); auth != nil || policy != nil {
			t.Errorf("%s: refused, and all the same %+v", name, auth)
		}
	}
	_, _, err = v2Verifier(exampleTime.Add(24 * time.Hour)).VerifyForm(formV2(good))
	wantRefused(t, err, s3err.AccessDenied, "Invalid according to Policy: Policy expired.")
}

package cors

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// document has rules of the given contents.
func document(rules ...string) []byte {
	return []byte(`<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule>` + strings.Join(rules, "</CORSRule><CORSRule>") + `</CORSRule></CORSConfiguration>`)
}

const anyGet = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"

func TestADocumentIsRefusedInS3sWords(t *testing.T) {
	for name, c := range map[string]struct {
		document []byte
		code     string
		message  string
	}{
		"no rule":                  {[]byte(`<CORSConfiguration></CORSConfiguration>`), "MalformedXML", ""},
		"another document":         {[]byte(`<Tagging><CORSRule>` + anyGet + `</CORSRule></Tagging>`), "MalformedXML", ""},
		"no XML":                   {[]byte(`{}`), "MalformedXML", ""},
		"an element of ours":       {document(anyGet + "<AllowedCountry>de</AllowedCountry>"), "MalformedXML", ""},
		"no origin":                {document("<AllowedMethod>GET</AllowedMethod>"), "MalformedXML", ""},
		"no method":                {document("<AllowedOrigin>*</AllowedOrigin>"), "MalformedXML", ""},
		"101 rules":                {document(strings.Split(strings.Repeat(anyGet+"|", 100)+anyGet, "|")...), "InvalidRequest", "100 rules"},
		"an unknown method":        {document("<AllowedMethod>MYMETHOD</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD"},
		"a method in small":        {document("<AllowedMethod>get</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"), "InvalidRequest", "Unsupported method is get"},
		"two wildcards":            {document("<AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://*.a.*</AllowedOrigin>"), "InvalidRequest", `AllowedOrigin "http://*.a.*" can not have more than one wildcard.`},
		"two wildcards in headers": {document(anyGet + "<AllowedHeader>x-*-*</AllowedHeader>"), "InvalidRequest", `AllowedHeader "x-*-*" can not have more than one wildcard.`},
		"no header's name":         {document(anyGet + "<AllowedHeader>a b</AllowedHeader>"), "InvalidRequest", `AllowedHeader "a b" contains invalid character.`},
		"a header's end":           {document(anyGet + "<ExposeHeader>a&#13;&#10;b: c</ExposeHeader>"), "InvalidRequest", "contains invalid character"},
		"a wildcard exposed":       {document(anyGet + "<ExposeHeader>*</ExposeHeader>"), "InvalidRequest", `ExposeHeader "*" contains wildcard.`},
		"a long id":                {document(anyGet + "<ID>" + strings.Repeat("é", 256) + "</ID>"), "InvalidArgument", "255"},
		"no number":                {document(anyGet + "<MaxAgeSeconds>soon</MaxAgeSeconds>"), "MalformedXML", ""},
		"two ages":                 {document(anyGet + "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>"), "MalformedXML", ""},
	} {
		_, err := Parse(c.document)
		var s3 *s3err.Error
		if !errors.As(err, &s3) || s3.Code != c.code || !strings.Contains(s3.Message, c.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADocumentIsWrittenAsItWasRead(t *testing.T) {
	full := "<ID>" + strings.Repeat("é", 255) + "</ID><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>https://*.example</AllowedOrigin><AllowedOrigin></AllowedOrigin>" +
		"<AllowedHeader>x-AMZ-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>-100</MaxAgeSeconds>"
	all := make([]string, 100)
	for i := range all {
		all[i] = full
	}
	for _, want := range [][]byte{document(full), document(all...)} {
		c, err := Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Document(); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}

func FuzzADocumentThatIsTakenIsTakenAgain(f *testing.F) {
	f.Add(document(anyGet), "https://a.example", "GET")
	f.Fuzz(func(t *testing.T, raw []byte, origin, method string) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		doc, err := c.Document()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(doc)
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		q := Request{Origin: origin, Method: method}
		_, was := c.Match(q)
		_, is := again.Match(q)
		if doc2, err := again.Document(); err != nil || string(doc2) != string(doc) || was != is {
			t.Errorf("%s became %s", doc, doc2)
		}
	})
}

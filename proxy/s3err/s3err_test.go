package s3err

import (
	"encoding/xml"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestChangesMakeCopies(t *testing.T) {
	cause := errors.New("disk")
	e := AccessDenied.With(Field{"A", "1"}).WithMessage("%d%%", 5).Because(cause)
	a, b := e.With(Field{"B", "2"}), e.With(Field{"C", "3"})
	if len(AccessDenied.Fields) != 0 || AccessDenied.Message != "Access Denied" || AccessDenied.Unwrap() != nil {
		t.Errorf("the template changed: %+v", AccessDenied)
	}
	if a.Field("B") != "2" || b.Field("C") != "3" || a.Field("C") != "" || len(e.Fields) != 1 || e.Message != "5%" {
		t.Errorf("%+v %+v %+v", e, a, b)
	}
	again := errors.New("net")
	if e = e.Because(again); !errors.Is(e, cause) || !errors.Is(e, again) {
		t.Error("a cause is lost")
	}
}

func TestErrorsOfOneCodeAreTheSame(t *testing.T) {
	err := fmt.Errorf("while reading: %w", NoSuchKey.WithMessage("gone"))
	var e *Error
	if !errors.Is(err, NoSuchKey) || errors.Is(err, NoSuchBucket) || !errors.As(err, &e) {
		t.Error(err)
	}
}

func TestEveryTemplateIsNamedByItsCodeAndWhole(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		n++
		fields := map[string]string{}
		for _, e := range spec.Values[0].(*ast.UnaryExpr).X.(*ast.CompositeLit).Elts {
			kv := e.(*ast.KeyValueExpr)
			fields[kv.Key.(*ast.Ident).Name] = strings.Trim(kv.Value.(*ast.BasicLit).Value, `"`)
		}
		if fields["Code"] != spec.Names[0].Name || fields["Message"] == "" || fields["Status"] < "300" {
			t.Errorf("%s: %v", spec.Names[0].Name, fields)
		}
		return false
	})
	if n < 60 {
		t.Errorf("only %d codes found", n)
	}
}

func TestTheAnswerIsTheXMLOfS3(t *testing.T) {
	e := InvalidArgument.WithMessage("a < b & \"c\" \x01").Argument("x", "<y>").
		With(Field{"bad name>", "v"}, Field{"Code", "Forged"}, Field{"RequestId", "the store's"}, Field{"X-Amz-Expires", "60"}).Because(errors.New("secret"))
	e.Header = http.Header{"Retry-After": {"5"}, "X-Amz-Meta-Store": {"private"}, "Content-Length": {"3"}}
	w := httptest.NewRecorder()
	e.Write(w, httptest.NewRequest("GET", "/b/k", nil), "/b/k&", "id", "host")
	want := xml.Header + "<Error><Code>InvalidArgument</Code><Message>a &lt; b &amp; \"c\" \uFFFD</Message><ArgumentName>x</ArgumentName><ArgumentValue>&lt;y&gt;</ArgumentValue>" +
		"<X-Amz-Expires>60</X-Amz-Expires><Resource>/b/k&amp;</Resource><RequestId>id</RequestId><HostId>host</HostId></Error>"
	if w.Body.String() != want || w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h := w.Header()
	if h.Get("Content-Type") != "application/xml" || h.Get("Content-Length") != fmt.Sprint(len(want)) || h.Get("Retry-After") != "5" || h.Get("X-Amz-Meta-Store") != "" {
		t.Error(h)
	}
	if err := xml.Unmarshal(w.Body.Bytes(), new(struct{ Code string })); err != nil {
		t.Error(err)
	}
}

func TestHEADAndNotModifiedHaveNoBody(t *testing.T) {
	for _, c := range []struct {
		e      *Error
		method string
	}{{NoSuchKey, "HEAD"}, {NotModified, "GET"}} {
		w := httptest.NewRecorder()
		c.e.Write(w, httptest.NewRequest(c.method, "/b/k", nil), "/b/k", "id", "host")
		if w.Code != c.e.Status || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "" {
			t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
		}
	}
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func TestAnswersOfStoresBecomeErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status        int
		body          string
		code, message string
		fields        []Field
	}{
		"S3": {404, `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>a&amp;b</Key><RequestId>R</RequestId><HostId>H</HostId></Error>`,
			"NoSuchKey", "The specified key does not exist.", []Field{{"Key", "a&b"}, {"RequestId", "R"}, {"HostId", "H"}}},
		"MinIO": {403, xml.Header + `<Error><Code>AccessDenied</Code><Message>Access Denied.</Message><Key>k</Key><BucketName>b</BucketName><Resource>/b/k</Resource><RequestId>1</RequestId><HostId>2</HostId></Error>`,
			"AccessDenied", "Access Denied.", []Field{{"Key", "k"}, {"BucketName", "b"}, {"Resource", "/b/k"}, {"RequestId", "1"}, {"HostId", "2"}}},
		"versitygw": {400, xml.Header + `<Error><Code>BadDigest</Code><Message>m</Message><CalculatedDigest>a==</CalculatedDigest></Error>`,
			"BadDigest", "m", []Field{{"CalculatedDigest", "a=="}}},
		"with a namespace":  {409, `<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>BucketNotEmpty</Code></Error>`, "BucketNotEmpty", "At", nil},
		"nested":            {400, `<Error><Code>X</Code><Message>m</Message><A><B>c</B></A><D/></Error>`, "X", "m", []Field{{"A", ""}, {"D", ""}}},
		"HEAD, no key":      {404, "", "NoSuchKey", NoSuchKey.Message, nil},
		"HEAD, denied":      {403, "", "AccessDenied", AccessDenied.Message, nil},
		"HEAD, unchanged":   {304, "", "NotModified", NotModified.Message, nil},
		"HEAD, condition":   {412, "", "PreconditionFailed", PreconditionFailed.Message, nil},
		"HEAD, range":       {416, "", "InvalidRange", InvalidRange.Message, nil},
		"a gateway's page":  {502, "<html><body>Bad gateway</body></html>", "ServiceUnavailable", ServiceUnavailable.Message, nil},
		"cut short":         {500, "<Error><Code>NoSuchKey</Code><Key>k</Key>", "InternalError", InternalError.Message, nil},
		"no XML":            {503, "busy", "ServiceUnavailable", ServiceUnavailable.Message, nil},
		"a redirect":        {307, "", "PermanentRedirect", PermanentRedirect.Message, nil},
		"an odd status":     {418, "", "InvalidRequest", InvalidRequest.Message, nil},
		"too long a body":   {400, "<Error><Code>X</Code><Message>" + strings.Repeat("m", 2<<20) + "</Message></Error>", "BadRequest", BadRequest.Message, nil},
		"an empty document": {404, "<Error/>", "NoSuchKey", NoSuchKey.Message, nil},
	} {
		t.Run(name, func(t *testing.T) {
			resp := answer(c.status, c.body)
			resp.Header.Set("Retry-After", "7")
			e := FromResponse(resp)
			if c.message == "At" {
				c.message = ofStatus(c.status).Message
			}
			if e.Status != c.status || e.Code != c.code || e.Message != c.message || !slices.Equal(e.Fields, c.fields) || e.Header.Get("Retry-After") != "7" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestAStoresAnswerThatIsNoErrorDocumentIsTheCause(t *testing.T) {
	if e := FromResponse(answer(502, "<html>nginx</html>")); e.Unwrap() == nil || strings.Contains(e.Message, "nginx") {
		t.Error(e)
	}
	if e := FromResponse(answer(404, "")); e.Unwrap() != nil {
		t.Error(e)
	}
}

func TestTheLogNamesWhatWasRefusedAndNotItsValue(t *testing.T) {
	got := InvalidArgument.WithMessage("Unknown directive.").Argument("x-amz-metadata-directive", "secret").Error()
	if got != "InvalidArgument: Unknown directive. (x-amz-metadata-directive)" {
		t.Error(got)
	}
	named := NotImplemented.WithMessage("not implemented: x-amz-a").With(Field{"Header", "x-amz-a"}).Error()
	if named != "NotImplemented: not implemented: x-amz-a" {
		t.Error(named)
	}
}

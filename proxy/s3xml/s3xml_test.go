package s3xml

import (
	"encoding/xml"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// tree holds a whole document of any kind.
type tree struct {
	XMLName    xml.Name
	Attributes []xml.Attr `xml:",any,attr"`
	Text       string     `xml:",chardata"`
	Children   []tree     `xml:",any"`
}

func TestADocumentThatPassesABoundIsRefusedForLittleMemory(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for name, c := range map[string]struct {
		doc  string
		good bool
	}{
		"as deep as may be":       {nested(MaxDepth), true},
		"too deep":                {nested(MaxDepth + 1), false},
		"very deep":               {strings.Repeat("<a>", MaxBytes/3-100), false},
		"very deep, unknown":      {"<a><b>" + strings.Repeat("<c>", MaxBytes/3-100), false},
		"as many as may be":       {"<a>" + strings.Repeat("<b/>", MaxElements-1) + "</a>", true},
		"too many":                {"<a>" + strings.Repeat("<b/>", MaxElements) + "</a>", false},
		"a long text":             {"<a>" + strings.Repeat("x", maxToken-1) + "</a>", true},
		"too long a text":         {"<a>" + strings.Repeat("x", maxToken+1) + "</a>", false},
		"too many attributes":     {"<a " + strings.Repeat(`b="" `, MaxBytes/6) + "/>", false},
		"too long a comment":      {"<a><!--" + strings.Repeat("x", maxToken) + "--></a>", false},
		"too long an instruction": {"<?xml " + strings.Repeat("x", maxToken) + "?><a/>", false},
		"too many bytes":          {"<a>" + strings.Repeat("<b>"+strings.Repeat("x", 60<<10)+"</b>", 150) + "</a>", false},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var doc tree
		err := Decode(strings.NewReader(c.doc), &doc)
		runtime.ReadMemStats(&after)
		if c.good && err != nil || !c.good && !errors.Is(err, ErrBounds) {
			t.Errorf("%s: %v", name, err)
		}
		if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; !c.good && name != "too many" && allocated > 40 {
			t.Errorf("%s: %d MiB allocated", name, allocated)
		}
	}
}

func TestADocumentIsReadAsEncodingXMLReadsIt(t *testing.T) {
	for _, doc := range []string{
		`<?xml version="1.0" encoding="UTF-8"?><a xmlns="urn:x" xmlns:p="urn:p"><b p:c="1">t&amp;&#x41;</b><p:d/><![CDATA[<x>]]></a>`,
		"<a></b>", "<a>", "", "x", "<a/>rest", "<a>\x01</a>", "<a>&#x1;</a>", "<p:a/>", `<?xml version="1.0" encoding="latin1"?><a/>`, "<a><b></a></b>", "</a>", "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
	} {
		var ours, theirs tree
		got, want := Unmarshal([]byte(doc), &ours), xml.Unmarshal([]byte(doc), &theirs)
		if (got == nil) != (want == nil) || got == nil && !same(ours, theirs) {
			t.Errorf("%s: %+v, %v; encoding/xml has %+v, %v", doc, ours, got, theirs, want)
		}
		if syntax := new(xml.SyntaxError); errors.As(want, &syntax) && !errors.As(got, &syntax) {
			t.Errorf("%s: %T, encoding/xml has %T", doc, got, want)
		}
	}
}

func same(a, b tree) bool {
	if a.XMLName != b.XMLName || a.Text != b.Text || len(a.Children) != len(b.Children) || len(a.Attributes) != len(b.Attributes) {
		return false
	}
	for i := range a.Attributes {
		if a.Attributes[i] != b.Attributes[i] {
			return false
		}
	}
	for i := range a.Children {
		if !same(a.Children[i], b.Children[i]) {
			return false
		}
	}
	return true
}

func TestAReferenceToASurrogateIsNoCharacter(t *testing.T) {
	for doc, good := range map[string]bool{
		"<a>&#xD800;</a>": false, "<a>&#xdfff;</a>": false, "<a>&#55296;</a>": false, "<a>&#x0000D800;</a>": false, "<a>x&#xDBFF;&#xDC00;</a>": false,
		"<a b='&#xD800;'/>": false, "<a>&&#xD800;</a>": false, "<a>&amp;#xD800;</a>": true, "<a>&#xD7FF;&#xE000;&#xFFFD;</a>": true, "<a>#xD800;</a>": true,
	} {
		err := Unmarshal([]byte(doc), &tree{})
		if good && err != nil || !good && err == nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// FuzzDecode: a document within the bounds decodes exactly as with encoding/xml.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents><Key>a&#x1;</Key></Contents></ListBucketResult>`))
	f.Add([]byte("<a xmlns:b='c' b:d='e'><b:f/></a>"))
	f.Add([]byte(strings.Repeat("<a>", 20)))
	f.Add([]byte("<a>&#xD7FF;&#xD800;</a>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var ours, theirs tree
		got := Unmarshal(doc, &ours)
		if errors.Is(got, ErrBounds) || errors.Is(got, ErrSurrogate) {
			return
		}
		want := xml.Unmarshal(doc, &theirs)
		if (got == nil) != (want == nil) || got == nil && !same(ours, theirs) {
			t.Errorf("%q: %+v, %v; encoding/xml has %+v, %v", doc, ours, got, theirs, want)
		}
	})
}

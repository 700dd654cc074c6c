package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// listings are of MinIO, versitygw and AWS, and what plain leaves to encoding/xml.
var listings = []string{
	`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><Marker/><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><NextContinuationToken>a&#43;b=</NextContinuationToken><Contents><Key>a&amp;b &#xe4; ä</Key><LastModified>2026-11-30T11:13:21.733Z</LastModified><ETag>&#34;d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><Size>12</Size><Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents><Contents><Key>b</Key><ETag>"e"</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>0</Size></Contents><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListBucketResult>`,
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>\n  <EncodingType>url</EncodingType>\n  <StartAfter>%20</StartAfter>\n</ListBucketResult>",
	`<ListBucketResult><Contents><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2026-12-01T00:00:00Z</RestoreExpiryDate></RestoreStatus></Contents></ListBucketResult>`,
	`<ListBucketResult><Contents><Owner><ID>1</ID></Owner><Owner><DisplayName>d</DisplayName></Owner><Key>a</Key><Key>b</Key></Contents></ListBucketResult>`,
	`<ListBucketResult><Name>a<b/>c</Name><!-- x --><MaxKeys> 7 </MaxKeys><KeyCount></KeyCount><New>1</New></ListBucketResult> behind`,
	"<ListBucketResult><Prefix>a\r\nb]]></Prefix></ListBucketResult>",
	"<ListBucketResult><Prefix>\x01</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>&#1;&#xD800;</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>\xff\uFFFE&#xFFFF;&#x7f;</Prefix></ListBucketResult>",
	"<ListBucketResult><Prefix>a\rb</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>a]]>b</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>a]b</Prefix></ListBucketResult>",
	"<ListBucketResult><Prefix>a\x0bb</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>a\uFFFEb</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>a\xffb</Prefix></ListBucketResult>",
	"<ListBucketResult><Prefix>&#xFFFF;</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>&#xD800;</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>&#xB;</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>&#xD;</Prefix></ListBucketResult>",
	"<ListBucketResult><Prefix>&#x110000;&nbsp;</Prefix></ListBucketResult>", "<ListBucketResult><Prefix>&#X41;</Prefix></ListBucketResult>",
	`<ListBucketResult xmlns:a="b" xmlns="c"><a:Name>n</a:Name></ListBucketResult>`, `<ListBucketResult><MaxKeys>99999999999999999999</MaxKeys></ListBucketResult>`, `<ListBucketResult><IsTruncated>TRUE</IsTruncated><IsTruncated>1</IsTruncated></ListBucketResult>`,
	`<ListBucketResult><Contents/><CommonPrefixes/></ListBucketResult>`, `<ListBucketResult><Contents>`, `<ListBucketResult>`, ``, `<Error/>`, `<ListBucketResult><Name>a</Prefix></ListBucketResult>`,
}

// FuzzListObjects: listings are read and written as encoding/xml does it.
func FuzzListObjects(f *testing.F) {
	for _, doc := range listings {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var got, want ListObjects
		err, wanted := Unmarshal(doc, &got), NewDecoder(bytes.NewReader(doc)).Decode(&want)
		if (err == nil) != (wanted == nil) || errors.Is(err, ErrSurrogate) != errors.Is(wanted, ErrSurrogate) {
			t.Fatalf("%q: %v; encoding/xml says %v", doc, err, wanted)
		}
		if err != nil {
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v; encoding/xml reads %+v", doc, got, want)
		}
		written, err := Marshal(&got)
		if wanted, failed := xml.Marshal(&got); err != nil || failed != nil || !bytes.Equal(written, wanted) {
			t.Errorf("%q is written %s (%v); encoding/xml writes %s (%v)", doc, written, err, wanted, failed)
		}
	})
}

// Were the listings of stores not plain, nobody would see it but in what they cost.
func TestTheListingsOfStoresArePlain(t *testing.T) {
	for _, doc := range append(listings[:2], string(minioList(3))) {
		if !new(ListObjects).readPlain(&plain{doc: []byte(doc)}) {
			t.Errorf("not plain: %s", doc)
		}
	}
}

func TestAListingIsReadToWhereItBreaks(t *testing.T) {
	broken := errors.New("broken")
	doc := string(minioList(3))
	for name, c := range map[string]struct {
		body io.Reader
		want error
	}{
		"in the middle":     {io.MultiReader(strings.NewReader(doc[:len(doc)/2]), iotest.ErrReader(broken)), broken},
		"behind its end":    {io.MultiReader(strings.NewReader(doc), iotest.ErrReader(broken)), nil},
		"byte by byte":      {iotest.OneByteReader(strings.NewReader(doc)), nil},
		"past the bound":    {strings.NewReader(strings.Replace(doc, "<Name>", "<Name>"+strings.Repeat(" ", MaxBytes), 1)), ErrBounds},
		"too many elements": {strings.NewReader(strings.Replace(doc, "<Key>", strings.Repeat("<ChecksumAlgorithm/>", MaxElements+1)+"<Key>", 1)), ErrBounds},
		"too many entries":  {bytes.NewReader(minioList(MaxEntries + 1)), errTooManyEntries},
	} {
		var l ListObjects
		if err := Decode(c.body, &l); !errors.Is(err, c.want) || c.want == nil && len(l.Contents) != 3 {
			t.Errorf("%s: %v, %d objects", name, err, len(l.Contents))
		}
	}
}

// A field that is added to the document must not be forgotten where it is written.
func TestEveryFieldOfAListingIsWritten(t *testing.T) {
	var full ListObjects
	fill(t, reflect.ValueOf(&full).Elem())
	full.XMLName = xml.Name{}
	got, err := Marshal(&full)
	want, failed := xml.Marshal(&full)
	if err != nil || failed != nil || !bytes.Equal(got, want) {
		t.Errorf("written is %s (%v); encoding/xml writes %s (%v)", got, err, want, failed)
	}
}

// fill gives each field a value that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(`a<"b` + "\t&ä")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("%s is not filled", v.Type())
	}
}

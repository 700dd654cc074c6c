package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
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

var versionLists = []string{
	`<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyMarker>a&amp;</KeyMarker><VersionIdMarker>v</VersionIdMarker><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>w</NextVersionIdMarker><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Version><Key>k</Key><LastModified>2026-11-30T11:13:21.733Z</LastModified><ETag>&#34;d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><Size>12</Size><Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass><IsLatest>true</IsLatest><VersionId>0f2d5a6c-4b3b-4c39-8f1c-8d3f1e2d7a11</VersionId></Version><DeleteMarker><Key>k</Key><LastModified>2026-11-30T11:13:21.733Z</LastModified><Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner><IsLatest>false</IsLatest><VersionId>null</VersionId></DeleteMarker><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListVersionsResult>`,
	`<ListVersionsResult><IsTruncated>false</IsTruncated><Version><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><ETag>"e"</ETag><IsLatest>true</IsLatest><Key>k</Key><LastModified>2026-11-30T11:13:21Z</LastModified><Owner><ID>1</ID></Owner><Size>1</Size><StorageClass>STANDARD</StorageClass><VersionId>null</VersionId></Version></ListVersionsResult>`,
	`<ListVersionsResult xmlns="n"><Version/><DeleteMarker><ETag>e</ETag><Size>1</Size><StorageClass>S</StorageClass></DeleteMarker><EncodingType>url</EncodingType><New>1</New></ListVersionsResult>`,
	`<ListVersionsResult><New><Version/></New></ListVersionsResult>`, `<ListVersionsResult><Version><RestoreStatus/><Key>k</Key></Version></ListVersionsResult>`, `<ListVersionsResult><Version><Owner><ID>1</ID></Owner><Owner><DisplayName>d</DisplayName></Owner></Version></ListVersionsResult>`,
	`<ListVersionsResult><Version><Size></Size><IsLatest> true</IsLatest></Version></ListVersionsResult>`, `<ListVersionsResult><Version><Size/></Version></ListVersionsResult>`, `<ListVersionsResult><Version></DeleteMarker></ListVersionsResult>`, `<ListVersionsResult><1/></ListVersionsResult>`,
	`<ListVersionsResult><a:Version xmlns:a="b"><Key>k</Key></a:Version></ListVersionsResult>`, `<ListVersionsResult/>`, `<A><Contents><Key>k</Key></Contents></A>`, `<1><Contents/></1>`, `<><Contents/></>`,
}

var partLists = []string{
	`<?xml version="1.0" encoding="UTF-8"?>
<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><Key>a/b</Key><UploadId>MTIz</UploadId><Initiator><ID>1</ID><DisplayName>minio</DisplayName></Initiator><Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass><PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber><ETag>&#34;d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><LastModified>2026-11-30T11:13:21.733Z</LastModified><Size>5242880</Size></Part><Part><PartNumber>2</PartNumber><ETag>"e"</ETag><LastModified>2026-11-30T11:13:21+01:00</LastModified><Size>1</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumXXHASH128>x</ChecksumXXHASH128></Part><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType></ListPartsResult>`,
	`<ListPartsResult><Part><PartNumber>x</PartNumber></Part></ListPartsResult>`, `<ListPartsResult><Part><PartNumber>+1</PartNumber></Part></ListPartsResult>`, `<ListPartsResult><Part><LastModified>2026</LastModified></Part></ListPartsResult>`, `<ListPartsResult><Part><LastModified/></Part></ListPartsResult>`,
	`<ListPartsResult><Part><Size>-1</Size><New/></Part><Owner/><Initiator><ID>1</ID></Initiator></ListPartsResult>`, `<ListPartsResult><Part><New><Size>1</Size></New></Part></ListPartsResult>`, `<ListPartsResult><Part><LastModified>9999-12-31T23:59:60Z</LastModified></Part></ListPartsResult>`,
}

var completions = []string{
	`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><PartNumber>1</PartNumber></Part><Part><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><ETag>"e"</ETag><PartNumber>10000</PartNumber></Part></CompleteMultipartUpload>`,
	"<CompleteMultipartUpload>\n <Part>\n  <PartNumber> 2 </PartNumber><ETag>e</ETag>\n </Part>\n</CompleteMultipartUpload>", `<CompleteMultipartUpload><Part/><Part><PartNumber>-1</PartNumber></Part><Part><PartNumber>+1</PartNumber></Part></CompleteMultipartUpload>`,
	`<CompleteMultipartUpload><Part><ETag/></Part><New/></CompleteMultipartUpload>`, `<CompleteMultipartUpload><Part><PartNumber></PartNumber></Part></CompleteMultipartUpload>`, `<CompleteMultipartUpload xmlns=""><Part><PartNumber>1</PartNumber><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>`,
}

var deletes = []string{
	`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a/&lt;b&gt;</Key></Object><Object><Key>c</Key><VersionId>v</VersionId><ETag>&quot;e&quot;</ETag><LastModifiedTime>Mon, 30 Nov 2026 11:13:21 GMT</LastModifiedTime><Size>7</Size></Object><Quiet>true</Quiet></Delete>`,
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete>\n <Quiet>false</Quiet>\n <Object>\n  <Key> k </Key>\n </Object>\n</Delete>",
	`<Delete><Object><Key>k</Key><Key>l</Key><Size/><New/></Object><Quiet/></Delete>`, `<Delete><Object><Size>-1</Size></Object><Object/><New>1</New></Delete>`, `<Delete><Quiet>1</Quiet><Object><Key>&#xD800;</Key></Object></Delete>`, `<Delete xmlns=""/>`, `<Delete><Object><Key>k</Object></Delete>`,
	`<Delete><Object><Key>a<b/>c</Key></Object><!-- x --></Delete>`, `<Delete><Object><Key>&#x1;</Key></Object></Delete>`, `<Delete><Object><Key><![CDATA[k]]></Key></Object></Delete>`, `<d:Delete xmlns:d="d"><d:Object><d:Key>k</d:Key></d:Object></d:Delete>`,
}

var deleteResults = []string{
	`<?xml version="1.0" encoding="UTF-8"?>
<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Deleted><Key>a</Key></Deleted><Deleted><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>w</DeleteMarkerVersionId><Key>b</Key><VersionId>v</VersionId></Deleted><Error><Code>AccessDenied</Code><Message>Access Denied.</Message><Key>c&amp;</Key><VersionId></VersionId></Error></DeleteResult>`,
	`<DeleteResult><Deleted><Key>k</Key><DeleteMarker></DeleteMarker></Deleted></DeleteResult>`, `<DeleteResult><Deleted/><Error/><New><Deleted/></New></DeleteResult>`, `<DeleteResult><Error><Key>k</Key><Message>a &#10; b</Message><New>1</New></Error><Deleted><DeleteMarker>0</DeleteMarker></Deleted></DeleteResult>`,
	`<DeleteResult/>`, `<DeleteResult></DeleteResult> behind`, `<DeleteResult><Deleted><Key>k</Key></Error></DeleteResult>`, `<DeleteResult><Error><Code>a<b/></Code></Error></DeleteResult>`,
}

var uploadLists = []string{
	`<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><NextKeyMarker>b&amp;</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker><Delimiter>/</Delimiter><Prefix></Prefix><EncodingType>url</EncodingType><MaxUploads>10000</MaxUploads><IsTruncated>true</IsTruncated><Upload><Key>b%26</Key><UploadId>2</UploadId><Initiator><ID>1</ID><DisplayName>minio</DisplayName></Initiator><Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass><Initiated>2026-11-30T11:13:21.733Z</Initiated></Upload><Upload><Key>a&lt;</Key><UploadId>1</UploadId><Initiator><ID>1</ID><DisplayName>minio</DisplayName></Initiator><Owner><ID>2</ID></Owner><Initiated>2026-11-30T11:13:21.733Z</Initiated><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType></Upload><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListMultipartUploadsResult>`,
	"<ListMultipartUploadsResult>\n <Upload>\n  <Key>c</Key><UploadId>3</UploadId>\n </Upload>\n <Upload><Key>b</Key><UploadId>2</UploadId></Upload><Upload><Key>a</Key></Upload>\n <New>1</New> </ListMultipartUploadsResult> behind",
	`<ListMultipartUploadsResult><Upload><Key>b</Key></Upload><!-- x --><Upload><Key>a<b/>c</Key></Upload><Upload><Key>c</Key></Upload></ListMultipartUploadsResult>`, `<ListMultipartUploadsResult><Upload><Key>b</Key></Upload><Upload><Key>&#xD800;</Key></Upload></ListMultipartUploadsResult>`,
	`<ListMultipartUploadsResult><Upload><Key>b</Key></Upload><MaxUploads> 7</MaxUploads><Bucket>a<b/>c</Bucket><Upload/><IsTruncated/></ListMultipartUploadsResult>`, `<ListMultipartUploadsResult xmlns="c" xmlns:a="b"><Upload><Key>b</Key></Upload></ListMultipartUploadsResult>`,
	`<ListMultipartUploadsResult xmlns="c"><CommonPrefixes/><New><Upload/></New><a:Upload xmlns:a="b"><Key>a</Key></a:Upload><CommonPrefixes><Prefix>a</Prefix></CommonPrefixes></ListMultipartUploadsResult>`, `<ListMultipartUploadsResult><Upload><Key>b</Key><Owner><ID>1</ID></Owner><Owner><DisplayName>2</DisplayName></Owner></Upload></ListMultipartUploadsResult>`,
	`<ListMultipartUploadsResult><Upload><Key>b</Key><Initiator><ID>1</ID></Initiator><Owner><ID>1</ID><DisplayName>2</DisplayName></Owner></Upload></ListMultipartUploadsResult>`,
	`<ListMultipartUploadsResult/>`, `<ListMultipartUploadsResult><Upload>`, `<ListMultipartUploadsResult><Upload></ListMultipartUploadsResult>`, `<ListMultipartUploadsResult><Upload></Upload></Error>`, `<Error/>`, ``,
}

// Whatever of a long document is read in which way, it is what encoding/xml reads alone.
func FuzzListUploads(f *testing.F) {
	for i, doc := range uploadLists {
		for _, size := range []uint16{7, 300, 2000} {
			f.Add([]byte(doc), size, uint8(i%3), "a", strings.Repeat("1", i%2), i%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, size uint16, most uint8, key, id string, encoded bool) {
		asked := url.Values{"max-uploads": {strconv.Itoa(int(most))}, "key-marker": {key}, "upload-id-marker": {id}}
		if encoded {
			asked.Set("encoding-type", "url")
		}
		var got, want ListUploads
		got.Asked(asked)
		want.Asked(asked)
		err, wanted := decodeLong(bytes.NewReader(doc), &got, int(size)), decoder(bytes.NewReader(doc), MaxLong, MaxLong).Decode(&want)
		if (err == nil) != (wanted == nil) || errors.Is(err, ErrSurrogate) != errors.Is(wanted, ErrSurrogate) {
			t.Fatalf("%q: %v; encoding/xml says %v", doc, err, wanted)
		}
		if err != nil {
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v; encoding/xml reads %+v", doc, got, want)
		}
		got.End()
		written, err := Marshal(&got)
		if wanted, failed := xml.Marshal(&got); (err == nil) != (failed == nil) || err == nil && !bytes.Equal(written, wanted) {
			t.Errorf("%q is written %s (%v); encoding/xml writes %s (%v)", doc, written, err, wanted, failed)
		}
	})
}

// Documents are read and written as encoding/xml does it.
func FuzzListObjects(f *testing.F)    { fuzzPlain[ListObjects](f, listings) }
func FuzzListVersions(f *testing.F)   { fuzzPlain[ListVersions](f, versionLists) }
func FuzzAnyList(f *testing.F)        { fuzzPlain[AnyList](f, slices.Concat(listings, versionLists)) }
func FuzzListParts(f *testing.F)      { fuzzPlain[ListParts](f, partLists) }
func FuzzCompleteUpload(f *testing.F) { fuzzPlain[CompleteUpload](f, completions) }
func FuzzDeleteObjects(f *testing.F)  { fuzzPlain[DeleteObjects](f, deletes) }
func FuzzDeleteResult(f *testing.F)   { fuzzPlain[DeleteResult](f, deleteResults) }

func fuzzPlain[T any](f *testing.F, seeds []string) {
	for _, doc := range seeds {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var got, want T
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
		if _, writes := any(&got).(plainWriter); !writes {
			return
		}
		written, err := Marshal(&got)
		if wanted, failed := xml.Marshal(&got); (err == nil) != (failed == nil) || err == nil && !bytes.Equal(written, wanted) {
			t.Errorf("%q is written %s (%v); encoding/xml writes %s (%v)", doc, written, err, wanted, failed)
		}
	})
}

// Were the documents of stores and clients not plain, nobody would see it but in what they cost.
func TestTheDocumentsOfStoresAndClientsArePlain(t *testing.T) {
	for _, c := range []struct {
		doc  plainDocument
		text string
	}{
		{&ListObjects{}, listings[0]}, {&ListObjects{}, listings[1]}, {&ListObjects{}, string(minioList(3))}, {&ListVersions{}, versionLists[0]}, {&ListVersions{}, versionLists[1]},
		{&AnyList{}, listings[0]}, {&AnyList{}, versionLists[0]}, {&ListParts{}, partLists[0]}, {&CompleteUpload{}, completions[0]},
		{&DeleteObjects{}, deletes[0]}, {&DeleteObjects{}, deletes[1]}, {&DeleteResult{}, deleteResults[0]},
	} {
		if !c.doc.readPlain(&plain{doc: c.text}) {
			t.Errorf("%T is not plain: %s", c.doc, c.text)
		}
	}
}

// A long document is plain to its end, through all its windows.
func TestAllUploadsOfMinIOArePlain(t *testing.T) {
	for _, doc := range []string{uploadLists[0], uploadLists[1], string(minioUploads(10_000))} { // the last one has 110,000 elements
		p, in, l := &plain{}, &window{from: strings.NewReader(doc), size: longWindow, buffer: new(bytes.Buffer)}, &ListUploads{}
		l.Asked(nil)
		in.fill(p)
		for name := l.readRoot(p); p.more(name); in.fill(p) {
			l.readChild(p)
		}
		if p.refused || len(p.rest()) == len(doc) {
			t.Errorf("not plain: %.100q", p.rest())
		}
	}
}

func TestALongDocumentIsReadToWhereItBreaks(t *testing.T) {
	broken := errors.New("broken")
	doc := string(minioUploads(1000))
	first, rest, _ := strings.Cut(doc, "</Upload>")
	first += "</Upload>"
	for name, c := range map[string]struct {
		body io.Reader
		want error
	}{
		"whole":               {strings.NewReader(doc), nil},
		"in the middle":       {io.MultiReader(strings.NewReader(doc[:len(doc)/2]), iotest.ErrReader(broken)), broken},
		"cut":                 {io.MultiReader(strings.NewReader(doc[:len(doc)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		"broken once":         {iotest.TimeoutReader(strings.NewReader(doc)), iotest.ErrTimeout},
		"too many prefixes":   {strings.NewReader(first + strings.Repeat("<CommonPrefixes/>", MaxEntries+1) + rest), errTooManyEntries},
		"behind its end":      {io.MultiReader(strings.NewReader(doc), iotest.ErrReader(broken)), nil},
		"byte by byte":        {iotest.OneByteReader(strings.NewReader(doc)), nil},
		"a long child":        {strings.NewReader(first + "<New>" + strings.Repeat(" ", maxToken/2) + strings.Repeat("<A>"+strings.Repeat(" ", maxToken/2)+"</A>", 8) + "</New>" + rest), nil},
		"too long a text":     {strings.NewReader(first + "<New>" + strings.Repeat(" ", maxToken) + "</New>" + rest), ErrBounds},
		"too deep":            {strings.NewReader(first + strings.Repeat("<New>", MaxDepth)), ErrBounds},
		"more elements":       {strings.NewReader(first + strings.Repeat("<New/>", MaxElements+1) + rest), nil},
		"more in one child":   {strings.NewReader(first + "<New>" + strings.Repeat("<A/>", MaxElements+1) + "</New>" + rest), nil},
		"up to the bound":     {io.MultiReader(strings.NewReader(first), padding(MaxLong-len(doc)), strings.NewReader(rest)), nil},
		"past the bound":      {io.MultiReader(strings.NewReader(first), padding(MaxLong-len(doc)+1), strings.NewReader(rest)), ErrBounds},
		"uploads without end": {io.MultiReader(strings.NewReader(first), repeated(first[strings.Index(first, "<Upload>"):])), ErrBounds},
	} {
		var l ListUploads
		l.Asked(nil)
		if err := DecodeLong(c.body, &l); !errors.Is(err, c.want) || c.want == nil && len(l.Uploads.Page) != 1000 {
			t.Errorf("%s: %v, %d uploads", name, err, len(l.Uploads.Page))
		}
	}
}

// padding is so many bytes of elements that nobody knows.
func padding(n int) io.Reader {
	const length = 1 << 10
	element := func(n int) string { return "<New>" + strings.Repeat(" ", n-len("<New></New>")) + "</New>" }
	last := length + n%length
	return io.MultiReader(io.LimitReader(repeated(element(length)), int64(n-last)), strings.NewReader(element(last)))
}

// repeated is a text again and again.
func repeated(text string) io.Reader { return &repetition{text, text} }

type repetition struct{ text, rest string }

func (r *repetition) Read(b []byte) (int, error) {
	if r.rest == "" {
		r.rest = r.text
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// What is kept of a long document holds no more of it than the texts that are kept.
func TestUploadsDoNotHoldTheDocumentTheyWereReadFrom(t *testing.T) {
	const uploads, between = 500, 64 << 10
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var doc []io.Reader
	for i := range uploads {
		upload := fmt.Sprintf("<Upload><Key>k%d</Key></Upload><CommonPrefixes><Prefix>p%d</Prefix></CommonPrefixes>", i, i)
		if i%2 == 0 {
			upload = fmt.Sprintf("<Upload><Key>k%d</Key><Owner><ID>o%d</ID><DisplayName>o%d</DisplayName></Owner></Upload>", i, i, i)
		}
		doc = append(doc, strings.NewReader(upload), padding(between))
	}
	before := heap()
	var l ListUploads
	l.Asked(nil)
	if err := DecodeLong(io.MultiReader(append([]io.Reader{strings.NewReader("<ListMultipartUploadsResult>")}, append(doc, strings.NewReader("</ListMultipartUploadsResult>"))...)...), &l); err != nil || len(l.Uploads.Page) != uploads {
		t.Fatal(err, len(l.Uploads.Page))
	}
	if grown := int64(heap() - before); grown > 4<<20 {
		t.Errorf("%d bytes are kept of %d", grown, uploads*between)
	}
	runtime.KeepAlive(&l)
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

// A field that is added to a document must not be forgotten where it is written.
func TestEveryFieldOfADocumentIsWritten(t *testing.T) {
	for _, full := range []plainWriter{&ListObjects{}, &ListVersions{}, &ListParts{}, &CompleteUpload{}, &DeleteObjects{}, &DeleteResult{}, &ListUploads{}} {
		fill(t, reflect.ValueOf(full).Elem())
		got, err := Marshal(full)
		want, failed := xml.Marshal(full)
		if err != nil || failed != nil || !bytes.Equal(got, want) {
			t.Errorf("written is %s (%v); encoding/xml writes %s (%v)", got, err, want, failed)
		}
	}
}

// A time that has no text is an error, as in encoding/xml.
func TestATimeWithoutATextIsNotWritten(t *testing.T) {
	if out, err := Marshal(&ListParts{Parts: Bounded[ListedPart]{{LastModified: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}}}); err == nil {
		t.Errorf("written is %s", out)
	}
}

// fill gives each field a value that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch at := v.Addr().Interface().(type) {
	case *xml.Name:
		*at = xml.Name{Local: "Version"} // a root's name is that of its type
		return
	case *time.Time:
		*at = time.Date(2026, 11, 30, 11, 13, 21, 7, time.UTC)
		return
	}
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
			if v.Type().Field(i).IsExported() {
				fill(t, v.Field(i))
			}
		}
	default:
		t.Fatalf("%s is not filled", v.Type())
	}
}

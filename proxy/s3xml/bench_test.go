package s3xml

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func minioList(n int) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>`)
	for i := range n {
		fmt.Fprintf(&b, `<Contents><Key>data/year=2026/month=11/part-%05d.parquet</Key><LastModified>2026-11-30T11:13:21.733Z</LastModified><ETag>&#34;d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><Size>%d</Size><Owner><ID>02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>`, i, i*1000+4128)
	}
	b.WriteString(`</ListBucketResult>`)
	return []byte(b.String())
}

func BenchmarkDecodeList(b *testing.B) {
	doc := minioList(1000)
	b.ReportAllocs()
	for b.Loop() {
		var l ListObjects
		if err := Decode(bytes.NewReader(doc), &l); err != nil || len(l.Contents) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeList(b *testing.B) {
	var l ListObjects
	if err := Decode(bytes.NewReader(minioList(1000)), &l); err != nil {
		b.Fatal(err)
	}
	encode(b, &l)
}

func encode(b *testing.B, doc any) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Marshal(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// minioUploads are all uploads of a bucket, as MinIO answers with them.
func minioUploads(n int) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker><Delimiter></Delimiter><Prefix></Prefix><MaxUploads>10000</MaxUploads><IsTruncated>false</IsTruncated>`)
	const owner = `<ID>02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4</ID><DisplayName>minio</DisplayName>`
	for i := range n {
		fmt.Fprintf(&b, `<Upload><Key>data/year=2026/month=11/part-%05d.parquet</Key><UploadId>NmZlNzM4ZTQtZjZkYS00MTc0LWI5YTItN2Y0ZDM0YzE4NWU3LmE0N2QxZTYxLWM0NTctNDJkOC04ZjM5LTA5ZmNhM%08d</UploadId><Initiator>%s</Initiator><Owner>%s</Owner><StorageClass>STANDARD</StorageClass><Initiated>2026-11-30T11:13:21.733Z</Initiated></Upload>`, i*7919%n, i, owner, owner)
	}
	b.WriteString(`</ListMultipartUploadsResult>`)
	return []byte(b.String())
}

func BenchmarkDecodeUploads(b *testing.B)     { decodeUploads(b, 1000) }
func BenchmarkDecodeManyUploads(b *testing.B) { decodeUploads(b, 10_000) }

func decodeUploads(b *testing.B, n int) {
	doc := minioUploads(n)
	b.ReportAllocs()
	for b.Loop() {
		var l ListUploads
		l.Asked(nil)
		if err := DecodeLong(bytes.NewReader(doc), &l); err != nil || len(l.Uploads.Page) < 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeUploads(b *testing.B) {
	var l ListUploads
	l.Asked(nil)
	if err := DecodeLong(bytes.NewReader(minioUploads(1000)), &l); err != nil {
		b.Fatal(err)
	}
	encode(b, &l)
}

// deletions are what a client asks for, and what MinIO answers.
func deletions(n int) (asked, answered []byte) {
	var keys, deleted strings.Builder
	for i := range n {
		fmt.Fprintf(&keys, `<Object><Key>data/year=2026/month=11/part-%05d.parquet</Key></Object>`, i)
		fmt.Fprintf(&deleted, `<Deleted><Key>data/year=2026/month=11/part-%05d.parquet</Key></Deleted>`, i)
	}
	return []byte(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + keys.String() + `</Delete>`),
		[]byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + deleted.String() + `</DeleteResult>`)
}

func BenchmarkDecodeDelete(b *testing.B) {
	doc, _ := deletions(1000)
	b.ReportAllocs()
	for b.Loop() {
		var l DeleteObjects
		if err := Unmarshal(doc, &l); err != nil || len(l.Objects) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDeleteResult(b *testing.B) {
	_, doc := deletions(1000)
	b.ReportAllocs()
	for b.Loop() {
		var l DeleteResult
		if err := Decode(bytes.NewReader(doc), &l); err != nil || len(l.Deleted) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeDelete(b *testing.B) {
	var l DeleteObjects
	doc, _ := deletions(1000)
	if err := Unmarshal(doc, &l); err != nil {
		b.Fatal(err)
	}
	encode(b, &l)
}

func BenchmarkEncodeDeleteResult(b *testing.B) {
	var l DeleteResult
	_, doc := deletions(1000)
	if err := Unmarshal(doc, &l); err != nil {
		b.Fatal(err)
	}
	encode(b, &l)
}

func BenchmarkDecodeVersions(b *testing.B) {
	doc := []byte(strings.NewReplacer("ListBucketResult", "ListVersionsResult", "Contents>", "Version>", "<KeyCount>1000</KeyCount>", "", "<StorageClass>", "<IsLatest>true</IsLatest><VersionId>0f2d5a6c-4b3b-4c39-8f1c-8d3f1e2d7a11</VersionId><StorageClass>").Replace(string(minioList(1000))))
	b.ReportAllocs()
	for b.Loop() {
		var l ListVersions
		if err := Decode(bytes.NewReader(doc), &l); err != nil || len(l.Versions) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCompleteUpload(b *testing.B) {
	var list CompleteUpload
	for n := range maxParts {
		list.Add(n+1, fmt.Sprintf("%032x", n))
	}
	doc, err := Marshal(&list)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var l CompleteUpload
		if err := Unmarshal(doc, &l); err != nil || len(l.Parts) != maxParts {
			b.Fatal(err)
		}
	}
}

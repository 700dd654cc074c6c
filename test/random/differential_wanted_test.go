package random

import (
	"fmt"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// wantedDifference is a difference that the proxy makes on purpose. docs/S3.md has the same list.
type wantedDifference struct {
	what, why string
	is        func(d deviation) bool
}

var wantedDifferences = []wantedDifference{
	{"Answers of objects and parts have `x-amz-server-side-encryption`: `aws:kms` with `--etag opaque`, else `AES256`", "they are encrypted; and SDKs would take an opaque ETag for an MD5", func(d deviation) bool {
		return d.what == "header X-Amz-Server-Side-Encryption" && d.had == "" && (d.has == "aws:kms" || d.side == throughMD5 && d.has == "AES256")
	}},
	{"A copy of an object in parts keeps its parts and their ETag", "it stays in the store; S3 makes one part of it", func(d deviation) bool {
		return d.name == "CopyObject" && d.what == "XML CopyObjectResult/ETag" && strings.Contains(d.has, `-`)
	}},
	{"An object or upload that names no checksum algorithm has a CRC64NVME, in every answer that has checksums", "as in S3; MinIO and versitygw keep none", func(d deviation) bool {
		return d.had == "" && d.isOne("header X-Amz-Checksum-Crc64nvme", "header X-Amz-Checksum-Type") ||
			d.had == "left out" && (strings.HasSuffix(d.what, "/ChecksumCRC64NVME") || strings.HasSuffix(d.what, "/ChecksumType") || strings.HasSuffix(d.what, "/ChecksumAlgorithm"))
	}},
	{"A part's checksum is of its upload's algorithm, CRC64NVME if that names none", "the other is checked and not kept", func(d deviation) bool {
		return d.name == "ListParts" && d.has == "left out" && strings.HasPrefix(d.what, "XML ListPartsResult/Part/Checksum")
	}},
	{"A copy's checksum stands in the document", "as in S3; MinIO has it in headers", func(d deviation) bool {
		return d.of("CopyObject", "UploadPartCopy") && (strings.HasPrefix(d.what, "header X-Amz-Checksum-") && d.has == "" || strings.HasPrefix(d.what, "XML Copy") && strings.Contains(d.what, "Result/Checksum") && d.had == "left out")
	}},
	{"`x-amz-copy-source-version-id` names the version that was copied", "as in S3; MinIO has it where the request names a version, versitygw never", func(d deviation) bool {
		return d.what == "header X-Amz-Copy-Source-Version-Id" && (d.had == "" || d.had == nullValue)
	}},
	{"A Complete that is sent again succeeds while its object is there, and names the version", "as in S3; MinIO says NoSuchUpload, versitygw names none", func(d deviation) bool {
		return d.of("CompleteMultipartUpload again", "CompleteMultipartUpload of what is gone") && (d.turns("404 NoSuchUpload", "200 ") || d.store == lab.OnVersitygw && d.what == "header X-Amz-Version-Id" && d.had == "")
	}},
	{"A Complete of more than ten seconds names no version", "its answer has begun by then", func(d deviation) bool {
		return d.name == "CompleteMultipartUpload" && d.what == "header X-Amz-Version-Id" && d.got.Header.Get("Content-Length") == ""
	}},
	{"`max-keys`, `max-uploads` and `max-parts` above 1,000 are 1,000", "as in S3; MinIO goes to 5,000 and more", func(d deviation) bool {
		return d.isOne("XML ListBucketResult/MaxKeys", "XML ListVersionsResult/MaxKeys", "XML ListPartsResult/MaxParts", "XML GetObjectAttributesResponse/ObjectParts/MaxParts", "XML ListMultipartUploadsResult/MaxUploads") && d.has == `"1000"`
	}},
	{"ListMultipartUploads gives a page of uploads, by key, behind its markers", "as in S3; MinIO gives all uploads of a bucket, by age", func(d deviation) bool {
		return d.store == lab.OnMinIO && d.name == "ListMultipartUploads" && (strings.HasPrefix(d.what, "XML ListMultipartUploadsResult/Upload/") || d.isOne("XML order",
			"XML ListMultipartUploadsResult/IsTruncated", "XML ListMultipartUploadsResult/NextKeyMarker", "XML ListMultipartUploadsResult/NextUploadIdMarker"))
	}},
	{"Delete markers have no size and no storage class in lists", "as in S3; MinIO has both", func(d deviation) bool {
		return d.isOne("XML ListVersionsResult/DeleteMarker/Size", "XML ListVersionsResult/DeleteMarker/StorageClass") && d.has == "left out"
	}},
	{"An unknown `encoding-type` is InvalidArgument in every list", "as in S3; MinIO lists uploads all the same, versitygw everything", func(d deviation) bool {
		return (d.name == "ListMultipartUploads" || d.store == lab.OnVersitygw) && d.turns("200 ", "400 InvalidArgument") && strings.Contains(d.call.Query, "encoding-type=nonsense")
	}},
	{"With `encoding-type=url` lists are encoded, and say so", "as in S3; versitygw does neither", func(d deviation) bool {
		return d.store == lab.OnVersitygw && strings.HasSuffix(d.what, "Result/EncodingType") && d.had == "left out"
	}},
	{"Lists name the store's checksum algorithm of an object of one PUT, and none of an object in parts", "it is the client's where it named one; HEAD tells it of every object", func(d deviation) bool {
		return d.isOne("XML ListBucketResult/Contents/ChecksumAlgorithm", "XML ListBucketResult/Contents/ChecksumType", "XML ListVersionsResult/Version/ChecksumAlgorithm", "XML ListVersionsResult/Version/ChecksumType")
	}},
	{"GetObjectAttributes has ObjectParts of multipart uploads only, and the size of an empty object", "as in S3; MinIO has one part of every object, and no size 0", func(d deviation) bool {
		return strings.HasPrefix(d.what, "XML GetObjectAttributesResponse/ObjectParts/") && d.has == "left out" || d.what == "XML GetObjectAttributesResponse/ObjectSize" && d.had == "left out"
	}},
	{"HeadBucket, ListObjects and ListObjectsV2 name the region", "as in S3; MinIO does not", func(d deviation) bool {
		return d.had == "" && d.what == "header X-Amz-Bucket-Region" || d.name == "HeadBucket" && d.what == "header Content-Length"
	}},
	{"GetObjectAttributes names the version as HEAD does", "as in S3; MinIO names the null version, and no other that the request does not", func(d deviation) bool {
		return d.name == "GetObjectAttributes" && d.what == "header X-Amz-Version-Id" && (d.had == nullValue || d.had == "")
	}},
	{"Lists end where nothing follows, and those of versions name the version that a page ends with", "as in S3; MinIO says that more follows now and then, and names no null version", func(d deviation) bool {
		return d.isOne("XML ListBucketResult/NextContinuationToken", "XML ListBucketResult/NextMarker") && d.has == "left out" || d.isOne("XML ListBucketResult/IsTruncated", "XML GetObjectAttributesResponse/ObjectParts/IsTruncated") && d.had == "true" ||
			d.name == "ListObjectVersions" && (d.what == "XML ListVersionsResult/NextVersionIdMarker" && (d.had == "left out" || d.has == "left out") ||
				d.what == "XML ListVersionsResult/NextKeyMarker" && d.has == "left out" || d.what == "XML ListVersionsResult/IsTruncated" && d.had == "true")
	}},
	{"A copy to itself may name a checksum algorithm, the storage class or a redirect, and nothing else", "as in S3; MinIO says InvalidRequest if that is what the object has", func(d deviation) bool {
		return d.name == "CopyObject" && d.turns("400 InvalidRequest", "200 ") && (d.call.Headers["x-amz-checksum-algorithm"] != "" || d.call.Headers["x-amz-storage-class"] != "" || d.call.Headers["x-amz-website-redirect-location"] != "")
	}},
	{"Of a copy's conditions those on ETags go before those on times", "as in S3; MinIO asks for both", func(d deviation) bool {
		h := d.call.Headers
		return d.turns("412 PreconditionFailed", "200 ") && (h["x-amz-copy-source-if-none-match"] != "" && h["x-amz-copy-source-if-modified-since"] != "" ||
			h["x-amz-copy-source-if-match"] != "" && h["x-amz-copy-source-if-unmodified-since"] != "")
	}},
	{"`If-None-Match` goes before `If-Modified-Since`, with `--etag md5`", "as in HTTP; MinIO asks for both", func(d deviation) bool {
		h := d.call.Headers
		return strings.HasPrefix(d.had, "304") && strings.HasPrefix(d.has, "20") && h["if-none-match"] != "" && h["if-modified-since"] != ""
	}},
	{"ListObjectVersions with `max-keys=0` lists nothing", "as in S3; MinIO lists versions", func(d deviation) bool {
		return d.name == "ListObjectVersions" && strings.HasPrefix(d.what, "XML ") && strings.Contains(d.call.Query, "max-keys=0") && (d.has == "left out" || d.had == "true")
	}},
	{"ListParts names the part that a list ends with", "as in S3; MinIO does only where more follow", func(d deviation) bool {
		return d.what == "XML ListPartsResult/NextPartNumberMarker" && d.had == "0"
	}},
	{"A part that is listed twice is InvalidPartOrder", "as in S3; MinIO takes it twice", func(d deviation) bool {
		return d.name == "CompleteMultipartUpload" && d.turns("200 ", "400 InvalidPartOrder")
	}},
	{"CRC64NVME with COMPOSITE is InvalidRequest", "as in S3; MinIO takes it", func(d deviation) bool {
		return d.name == "CreateMultipartUpload" && d.turns("200 ", "400 InvalidRequest") && d.call.Headers["x-amz-checksum-type"] == "COMPOSITE"
	}},
	{"A copy that names no storage class is STANDARD", "as in S3; MinIO keeps the source's", func(d deviation) bool {
		return strings.HasSuffix(d.what, "/StorageClass") && d.had == "REDUCED_REDUNDANCY" && d.has == `"STANDARD"` || d.what == "header X-Amz-Storage-Class" && d.had == "REDUCED_REDUNDANCY" && d.has == ""
	}},
	{"An empty `versionId=` behind a copy's source is InvalidArgument", "as in S3; MinIO takes it for none", func(d deviation) bool {
		return d.of("CopyObject", "UploadPartCopy") && strings.HasSuffix(d.call.Headers["x-amz-copy-source"], "?versionId=") && strings.HasSuffix(d.has, "400 InvalidArgument")
	}},
	{"UploadPartCopy takes a source whose key ends in `/`", "MinIO refuses it", func(d deviation) bool {
		return d.name == "UploadPartCopy" && d.turns("400 XMinioInvalidObjectName", "200 ")
	}},
	{"Abort of an upload that has ended, or never was, is NoSuchUpload", "as in S3; MinIO says 204", func(d deviation) bool {
		return d.name == "AbortMultipartUpload" && d.turns("204 ", "404 NoSuchUpload")
	}},
	{"A part that is copied, or that is sent to an upload with CRC64NVME, needs no checksum", "the proxy computes it, as S3 does; MinIO says InvalidArgument", func(d deviation) bool {
		return (d.name == "UploadPart" || d.name == "UploadPartCopy") && d.turns("400 InvalidArgument", "200 ")
	}},
	{"A range that ends before it begins is ignored", "as in HTTP; MinIO says InvalidRange", func(d deviation) bool {
		return d.call.Headers["range"] == "bytes=9-5" && strings.HasPrefix(d.had, "416") && !strings.HasPrefix(d.has, "416")
	}},
	{"ListParts goes on behind any number", "as in S3; MinIO lists nothing behind a number that no part has", func(d deviation) bool {
		return d.name == "ListParts" && strings.HasPrefix(d.what, "XML ListPartsResult/") && (d.had == "left out" || d.had == "false") && strings.Contains(d.call.Query, "part-number-marker")
	}},
	{"A page of a list may say that more follows where only s3proxy's own objects do, or the part that it ends an upload with", "the next page is empty, and ends the list", func(d deviation) bool {
		return d.isOne("XML ListBucketResult/NextMarker", "XML ListBucketResult/NextContinuationToken", "XML ListBucketResult/IsTruncated", "XML ListVersionsResult/IsTruncated", "XML ListVersionsResult/NextKeyMarker", "XML ListVersionsResult/NextVersionIdMarker", "XML ListPartsResult/IsTruncated") &&
			(d.had == "left out" || d.had == "false")
	}},
	{"A page may be one entry short behind a folder, and says that more follows", "MinIO finds no single entry there, whatever follows; so none is asked for", func(d deviation) bool {
		return d.store == lab.OnMinIO && d.of("ListObjects", "ListObjectsV2", "ListObjectVersions") && strings.HasPrefix(d.what, "XML ") && strings.Contains(d.call.Query, "delimiter=") &&
			strings.Contains(string(d.got.Body), "<IsTruncated>true") && entriesOf(d.got)+1 == entriesOf(d.direct)
	}},
	{"Where a page of ListObjects ends is told by the store", "MinIO names a folder behind the page's last key now and then", func(d deviation) bool {
		return d.name == "ListObjects" && d.what == "XML ListBucketResult/NextMarker" && d.had != "left out" && d.has != "left out"
	}},
	{"A suffix of an empty object, and its part 1, are 200", "there is no range of no bytes; MinIO says 206", func(d deviation) bool {
		asked := strings.HasPrefix(d.call.Headers["range"], "bytes=-") || strings.Contains(d.call.Query, "partNumber=1")
		return asked && strings.HasPrefix(d.had, "206") && strings.HasPrefix(d.has, "200") && d.got.Header.Get("Content-Length") == "0"
	}},
	{"A copy keeps the source's `Expires`", "as in S3; MinIO loses it", func(d deviation) bool {
		return d.what == "header Expires" && d.had == "" && d.of("GetObject", "HeadObject")
	}},
	{"Part 1 of an object of one PUT has the object's checksum", "it is all of it; MinIO leaves the checksum out", func(d deviation) bool {
		return d.of("GetObject", "HeadObject") && strings.HasPrefix(d.what, "header X-Amz-Checksum-") && d.had == "" && strings.Contains(d.call.Query, "partNumber=1")
	}},
	{"ListParts with `max-parts=0` lists nothing", "as MinIO has it; versitygw lists all parts", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "ListParts" && strings.HasPrefix(d.what, "XML ListPartsResult/") && strings.Contains(d.call.Query, "max-parts=0")
	}},
	{"A page of versions begins behind its markers", "as in S3; versitygw lists the marker's own version again, ends never with `max-keys=1`, and leaves the slash out of the marker behind a folder", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "ListObjectVersions" && (strings.HasPrefix(d.what, "XML ListVersionsResult/") && strings.Contains(d.call.Query, "version-id-marker=") ||
			d.what == "XML ListVersionsResult/NextKeyMarker" && d.has == fmt.Sprintf("%q", d.had+"/"))
	}},
	{"A body under a folder's key whose checksum is wrong is BadDigest", "versitygw says DirectoryObjectContainsData first, or takes an empty one", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "PutObject" && strings.HasSuffix(d.call.Path, "/") && (d.turns("400 DirectoryObjectContainsData", "400 BadDigest") || d.turns("200 ", "400 BadDigest") && d.size() == 0)
	}},
	{"A Complete of an upload that was aborted, or whose object has gone since, is NoSuchUpload", "as in S3; versitygw says 200 if an object is there", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.of("CompleteMultipartUpload", "CompleteMultipartUpload of what is gone") && d.turns("200 ", "404 NoSuchUpload")
	}},
	{"In a copy's source an encoded question mark belongs to the key", "as in S3; versitygw decodes first and takes a version from it", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.of("CopyObject", "UploadPartCopy") && strings.Contains(d.call.Headers["x-amz-copy-source"], "%3FversionId%3D") && d.had == "400 InvalidArgument"
	}},
	{"A copied part's range names its first and last byte", "as in S3; versitygw takes `bytes=3-` too", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "UploadPartCopy" && d.call.Headers["x-amz-copy-source-range"] == "bytes=3-" && d.turns("200 ", "400 InvalidArgument")
	}},
	{"A range has no checksum", "as on MinIO; versitygw has the object's where the range is all of it", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.of("GetObject", "HeadObject") && strings.HasPrefix(d.what, "header X-Amz-Checksum-") && d.has == "" && d.call.Headers["range"] != ""
	}},
	{"GetObjectAttributes has the parts of an upload whose parts have checksums", "as in S3; versitygw has none", func(d deviation) bool {
		return d.store == lab.OnVersitygw && strings.HasPrefix(d.what, "XML GetObjectAttributesResponse/ObjectParts/") && d.had == "left out"
	}},
	{"What was written in the very second of a condition's date was not modified since", "dates of HTTP are whole seconds; versitygw compares fractions", func(d deviation) bool {
		var unmodified, modified string
		for _, before := range []string{"", "x-amz-copy-source-"} {
			unmodified, modified = unmodified+d.call.Headers[before+"if-unmodified-since"], modified+d.call.Headers[before+"if-modified-since"]
		}
		isNow := func(since string) bool { return since != "" && since != longAgo && since != "nonsense" }
		switch {
		case d.store != lab.OnVersitygw || d.what != "status":
			return false
		case strings.HasPrefix(d.had, "412"):
			return isNow(unmodified) && strings.HasPrefix(d.has, "20")
		}
		return strings.HasPrefix(d.had, "20") && (strings.HasPrefix(d.has, "412") || strings.HasPrefix(d.has, "304")) && isNow(modified)
	}},
	{"A folder that is no object cannot be copied", "as in S3; versitygw takes a copy of it onto itself for a change of its metadata", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "CopyObject" && strings.HasSuffix(d.call.Path, "/") && d.isOntoItself() &&
			(d.turns("200 ", "404 NoSuchKey") && strings.Contains(string(d.direct.Body), "<ETag></ETag>") || d.turns("400 InvalidRequest", "404 NoSuchKey"))
	}},
	{"A folder's object can be copied to a key that is none", "as in S3; versitygw fails", func(d deviation) bool {
		source, _, _ := strings.Cut(d.call.Headers["x-amz-copy-source"], "?")
		return d.store == lab.OnVersitygw && d.of("CopyObject", "UploadPartCopy") && strings.HasSuffix(source, "/") && d.turns("500 InternalError", "200 ")
	}},
	{"A version is copied onto its own key without a change, which restores it", "as in S3; versitygw says InvalidRequest", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "CopyObject" && strings.Contains(d.call.Headers["x-amz-copy-source"], "?versionId=") && d.isOntoItself() && d.turns("400 InvalidRequest", "200 ")
	}},
	{"A copy onto itself makes a version", "as in S3; versitygw changes the one that is there", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "CopyObject" && d.isOntoItself() && d.what == "header X-Amz-Version-Id" && d.has != ""
	}},
	{"A copy onto itself may replace the tags alone", "versitygw says InvalidRequest", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "CopyObject" && d.isOntoItself() && d.call.Headers["x-amz-tagging-directive"] == "REPLACE" && d.turns("400 InvalidRequest", "200 ")
	}},
	{"A write with `If-Match: *` may be 503", "versitygw takes the star for an ETag, and cuts the connection before it has read the body; its answer is lost", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "PutObject" && d.call.Headers["if-match"] == "*" && d.turns("412 PreconditionFailed", "503 ServiceUnavailable")
	}},
	{"A copy onto itself with a checksum algorithm has the checksum of its bytes", "versitygw computes that of no bytes", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.name == "CopyObject" && d.isOntoItself() && d.call.Headers["x-amz-checksum-algorithm"] != "" &&
			strings.HasPrefix(d.what, "XML CopyObjectResult/Checksum") && (d.had == "AAAAAA==" || d.had == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	}},
	{"A part has no checksum where the object's is of the whole", "as in S3; versitygw has the object's", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.of("GetObject", "HeadObject") && strings.HasPrefix(d.what, "header X-Amz-Checksum-") && d.has == "" && strings.Contains(d.call.Query, "partNumber=") && d.direct.Header.Get("X-Amz-Checksum-Type") == "FULL_OBJECT"
	}},
	{"A folder's object has one part", "versitygw has any number of them", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.of("GetObject", "HeadObject") && strings.HasSuffix(d.call.Path, "/") && strings.Contains(d.call.Query, "partNumber=") && strings.HasPrefix(d.had, "20") && strings.HasPrefix(d.has, "416")
	}},
	{"A write with `If-Match` where the object has been deleted fails, with `--etag md5`", "as in S3; versitygw compares the ETag that the object had", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.side == throughMD5 && d.gone && d.turns("200 ", "412 PreconditionFailed")
	}},
	{"A copy of what has been deleted is NoSuchKey, or MethodNotAllowed if it names the delete marker", "versitygw says NoSuchVersion, or copies the delete marker", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.of("CopyObject", "UploadPartCopy") && (d.turns("404 NoSuchVersion", "404 NoSuchKey") && !strings.Contains(d.call.Headers["x-amz-copy-source"], "?versionId=") ||
			d.got.Header.Get("X-Amz-Delete-Marker") == "true" && (d.has == "404 NoSuchKey" || d.has == "405 MethodNotAllowed"))
	}},
	{"A 304 names the ETag", "as in HTTP; versitygw does not", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.direct.Status == 304 && d.what == "header Etag" && d.had == ""
	}},
	{"`aws-chunked` is no content encoding of an object", "as in S3; versitygw keeps it", func(d deviation) bool {
		return d.store == lab.OnVersitygw && d.what == "header Content-Encoding" && strings.Trim(strings.ReplaceAll(d.had, "aws-chunked", ""), ",") == d.has
	}},
	{"Errors are S3's", "MinIO has others for unknown checksum algorithms, parts without their checksum, an empty list of parts, part numbers that are none, an upload marker before another key; and codes of its own (`XMinio...`, `XAmz...`)", func(d deviation) bool {
		switch {
		case d.of("CreateMultipartUpload", "UploadPart") && d.turns("400 InvalidArgument", "400 InvalidRequest"), d.name == "CompleteMultipartUpload" && d.turns("400 InvalidRequest", "400 MalformedXML"):
			return true
		}
		return d.what == "status" && strings.HasPrefix(d.has, "4") && (d.had == "501 NotImplemented" || strings.Contains(d.had, " XMinio") || strings.Contains(d.had, " XAmz") || strings.HasPrefix(d.had, "500"))
	}},
	{"Of a request that is wrong in more than one way another error is told", "neither changes anything, and S3 names no order", func(d deviation) bool {
		return d.what == "status" && isRefusal(d.had) && isRefusal(d.has) && risks(d.call) > 1
	}},
}

// refusals are the possible answers to a request with a condition, a version, a range or an
// attribute.
var refusals = []string{"", "PreconditionFailed", "NoSuchKey", "NoSuchVersion", "NoSuchUpload", "InvalidRange", "InvalidPartNumber", "InvalidPart", "InvalidPartOrder",
	"EntityTooSmall", "InvalidStorageClass", "InvalidTag", "InvalidRequest", "InvalidArgument", "MethodNotAllowed", "BadDigest", "InvalidDigest", "ObjectLocked", "DirectoryObjectContainsData"}

func isRefusal(s string) bool {
	status, code, _ := strings.Cut(s, " ")
	return (status == "304" || strings.HasPrefix(status, "4")) && slices.Contains(refusals, code)
}

// risks counts the reasons for which a call can fail, including its key or upload.
func risks(c s3test.Call) int {
	n := 1
	for name := range c.Headers {
		if strings.Contains(name, "if-") || slices.Contains([]string{"range", "x-amz-copy-source-range", "x-amz-storage-class", "x-amz-tagging", "x-amz-object-lock-mode", "x-amz-object-lock-legal-hold", "x-amz-checksum-algorithm"}, name) {
			n++
		}
	}
	for _, name := range []string{"versionId", "partNumber", "uploadId"} {
		if strings.Contains(c.Query, name+"=") {
			n++
		}
	}
	return n + strings.Count(c.Headers["x-amz-copy-source"], "?")
}

func (d deviation) isOne(whats ...string) bool { return slices.Contains(whats, d.what) }

// isOntoItself reports whether a copy's source is also its destination.
func (d deviation) isOntoItself() bool {
	source, _, _ := strings.Cut(d.call.Headers["x-amz-copy-source"], "?")
	return "/"+source == d.call.Path
}

// size is the size of the call's body.
func (d deviation) size() int {
	if d.call.Stream != nil {
		return len(d.call.Stream.Body)
	}
	return len(d.call.Body)
}

// entriesOf counts the entries on a page of a list.
func entriesOf(page s3test.Answer) (n int) {
	for _, element := range []string{"<Contents>", "<Version>", "<DeleteMarker>", "<CommonPrefixes>"} {
		n += strings.Count(string(page.Body), element)
	}
	return n
}

func (d deviation) turns(had, has string) bool {
	return d.what == "status" && d.had == had && d.has == has
}

// accepted returns the name of a wanted or known difference, or "".
func accepted(d deviation) string {
	for _, w := range wantedDifferences {
		if w.is(d) {
			return w.what
		}
	}
	return ""
}

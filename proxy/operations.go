package proxy

import (
	"sync"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Request headers that more than one row passes on.
var (
	contentHeaders = []string{
		"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires",
		"X-Amz-Meta-*", "X-Amz-Storage-Class", "X-Amz-Tagging", "X-Amz-Website-Redirect-Location",
		"X-Amz-Acl", "X-Amz-Grant-*", "X-Amz-Object-Lock-*",
		// With SSEStore these are for the store's own encryption below ours. SSE-C, whose
		// headers begin alike, is refused before.
		object.SSEHeader, object.SSEKeyHeader, object.SSEContextHeader, object.SSEBucketHeader,
	}
	readConditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

	readOverrides = []string{
		"response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires",
	}
)

const (
	keptByProxy = "kept by s3proxy; with `sse: store` forwarded"
	corsKept    = "kept by s3proxy; with `cors: store` forwarded"
	corsAnswer  = "answered by s3proxy; with `cors: store` forwarded"
)

func join(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// operations is the table of every operation in the S3 API reference, with what the proxy does
// about it. A request that matches no row never reaches the store.
var operations = sync.OnceValue(func() []operation {
	rows := []operation{
		// The service
		{name: "ListBuckets", method: "GET", scope: onService, query: []string{"bucket-region", "continuation-token", "max-buckets", "prefix"}, effect: rewrites, handle: listBuckets},

		// Buckets
		{name: "CreateBucket", method: "PUT", scope: onBucket, headers: join([]string{"X-Amz-Acl", "X-Amz-Grant-*", "X-Amz-Bucket-Namespace", "X-Amz-Bucket-Object-Lock-Enabled", "X-Amz-Object-Ownership"}, upstream.OwnerHeaders), effect: rewrites, handle: createBucket},
		{name: "HeadBucket", method: "HEAD", scope: onBucket, headers: upstream.OwnerHeaders, effect: rewrites, handle: headBucket},
		{name: "DeleteBucket", method: "DELETE", scope: onBucket, headers: upstream.OwnerHeaders, effect: rewrites, handle: deleteBucket},
		{name: "GetBucketLocation", method: "GET", scope: onBucket, marks: []string{"location"}, headers: upstream.OwnerHeaders, effect: rewrites, handle: getBucketLocation},
		{name: "ListObjects", method: "GET", scope: onBucket, query: []string{"delimiter", "encoding-type", "marker", "max-keys", "prefix"}, headers: join(upstream.OwnerHeaders, []string{"X-Amz-Optional-Object-Attributes"}), effect: rewrites, handle: listObjects},
		{name: "ListObjectsV2", method: "GET", scope: onBucket, marks: []string{"list-type=2"}, query: []string{"continuation-token", "delimiter", "encoding-type", "fetch-owner", "max-keys", "prefix", "start-after"}, headers: join(upstream.OwnerHeaders, []string{"X-Amz-Optional-Object-Attributes"}), effect: rewrites, handle: listObjectsV2},
		{name: "DeleteObjects", method: "POST", scope: onBucket, marks: []string{"delete"}, headers: join([]string{"X-Amz-Bypass-Governance-Retention", "X-Amz-Mfa"}, upstream.OwnerHeaders), effect: rewrites, handle: deleteObjects},

		// A bucket's default encryption
		{name: "GetBucketEncryption", method: "GET", scope: onBucket, marks: []string{"encryption"}, headers: upstream.OwnerHeaders, effect: rewrites, handle: getBucketEncryption, note: keptByProxy},
		{name: "PutBucketEncryption", method: "PUT", scope: onBucket, marks: []string{"encryption"}, headers: upstream.OwnerHeaders, effect: rewrites, manages: true, handle: putBucketEncryption, note: keptByProxy},
		{name: "DeleteBucketEncryption", method: "DELETE", scope: onBucket, marks: []string{"encryption"}, headers: upstream.OwnerHeaders, effect: rewrites, manages: true, handle: deleteBucketEncryption, note: keptByProxy},

		// A bucket's CORS rules, and what browsers ask because of them, which has no signature
		{name: "GetBucketCors", method: "GET", scope: onBucket, marks: []string{"cors"}, headers: upstream.OwnerHeaders, effect: rewrites, handle: getBucketCORS, note: corsKept},
		{name: "PutBucketCors", method: "PUT", scope: onBucket, marks: []string{"cors"}, headers: upstream.OwnerHeaders, effect: rewrites, manages: true, handle: putBucketCORS, note: corsKept},
		{name: "DeleteBucketCors", method: "DELETE", scope: onBucket, marks: []string{"cors"}, headers: upstream.OwnerHeaders, effect: rewrites, manages: true, handle: deleteBucketCORS, note: corsKept},
		{name: "PreflightBucket", method: "OPTIONS", scope: onBucket, headers: preflightHeaders, effect: rewrites, preflights: true, handle: preflight, note: corsAnswer},
		{name: "PreflightObject", method: "OPTIONS", scope: onObject, headers: preflightHeaders, effect: rewrites, preflights: true, handle: preflight, note: corsAnswer},

		// Objects
		{name: "PutObject", method: "PUT", scope: onObject, headers: join(contentHeaders, upstream.WriteConditions, upstream.OwnerHeaders), effect: encrypts, tellsEncryption: true, chunked: true, handle: putObject},
		{name: "GetObject", method: "GET", scope: onObject, query: join(readOverrides, []string{"partNumber", "versionId"}), headers: join(readConditions, upstream.OwnerHeaders), effect: encrypts, tellsEncryption: true, handle: getObject},
		{name: "HeadObject", method: "HEAD", scope: onObject, query: join(readOverrides, []string{"partNumber", "versionId"}), headers: join(readConditions, upstream.OwnerHeaders), effect: encrypts, tellsEncryption: true, handle: headObject},
		{name: "DeleteObject", method: "DELETE", scope: onObject, query: []string{"versionId"}, headers: join([]string{"If-Match", "X-Amz-If-Match-Size", "X-Amz-If-Match-Last-Modified-Time", "X-Amz-Bypass-Governance-Retention", "X-Amz-Mfa"}, upstream.OwnerHeaders), effect: rewrites, handle: deleteObject},
		{name: "CopyObject", method: "PUT", scope: onObject, header: "X-Amz-Copy-Source", headers: join(contentHeaders, upstream.WriteConditions, upstream.OwnerHeaders), own: copyHeaders, effect: rewrites, tellsEncryption: true, handle: copyObject, note: "the data key is wrapped for the new name; streams through the proxy between stores, and into or out of a bucket that is not encrypted"},
		{name: "PostObject", method: "POST", scope: onBucket, headers: contentHeaders, effect: encrypts, tellsEncryption: true, signedInBody: true, handle: postObject},
		{name: "GetObjectAttributes", method: "GET", scope: onObject, marks: []string{"attributes"}, query: []string{"versionId"}, headers: join([]string{"X-Amz-Object-Attributes", "X-Amz-Max-Parts", "X-Amz-Part-Number-Marker"}, upstream.OwnerHeaders), effect: rewrites, handle: getObjectAttributes},
		{name: "ListObjectVersions", method: "GET", scope: onBucket, marks: []string{"versions"}, query: []string{"delimiter", "encoding-type", "key-marker", "max-keys", "prefix", "version-id-marker"}, headers: join(upstream.OwnerHeaders, []string{"X-Amz-Optional-Object-Attributes"}), effect: rewrites, handle: listObjectVersions},

		{name: "RestoreObject", method: "POST", scope: onObject, marks: []string{"restore"}, query: []string{"versionId"}, headers: upstream.OwnerHeaders, effect: forwards, handle: restoreObject, note: "not its SELECT form"},

		// Multipart uploads
		{name: "CreateMultipartUpload", method: "POST", scope: onObject, marks: []string{"uploads"}, headers: join(contentHeaders, upstream.OwnerHeaders), effect: encrypts, tellsEncryption: true, handle: createMultipartUpload},
		// S3 refuses encryption for the parts of an upload and for Complete, stores ignore it there, and
		// minio-go sends it to all but AWS: it is the upload's own.
		{name: "UploadPart", method: "PUT", scope: onObject, marks: []string{"partNumber", "uploadId"}, headers: upstream.OwnerHeaders, own: sseHeaders, effect: encrypts, tellsEncryption: true, chunked: true, handle: uploadPart},
		{name: "UploadPartCopy", method: "PUT", scope: onObject, marks: []string{"partNumber", "uploadId"}, header: "X-Amz-Copy-Source", headers: upstream.OwnerHeaders, own: join(copyHeaders, sseHeaders), effect: encrypts, tellsEncryption: true, handle: uploadPartCopy, note: "streams through the proxy"},
		{name: "CompleteMultipartUpload", method: "POST", scope: onObject, marks: []string{"uploadId"}, headers: join(upstream.WriteConditions, upstream.OwnerHeaders), own: join([]string{"X-Amz-Mp-Object-Size"}, sseHeaders), effect: encrypts, tellsEncryption: true, handle: completeMultipartUpload},
		{name: "AbortMultipartUpload", method: "DELETE", scope: onObject, marks: []string{"uploadId"}, headers: join([]string{"X-Amz-If-Match-Initiated-Time"}, upstream.OwnerHeaders), effect: rewrites, handle: abortMultipartUpload},
		{name: "ListParts", method: "GET", scope: onObject, marks: []string{"uploadId"}, query: []string{"max-parts", "part-number-marker"}, headers: upstream.OwnerHeaders, effect: rewrites, handle: listParts},
		{name: "ListMultipartUploads", method: "GET", scope: onBucket, marks: []string{"uploads"}, query: []string{"delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"}, headers: upstream.OwnerHeaders, effect: rewrites, handle: listMultipartUploads},

		// Refused for good: they would break silently
		{name: "SelectObjectContent", method: "POST", scope: onObject, marks: []string{"select"}, query: []string{"select-type"}, effect: refuses, note: "the store has no plaintext to select from"},
		{name: "GetObjectTorrent", method: "GET", scope: onObject, marks: []string{"torrent"}, effect: refuses, note: "it would share ciphertext"},
		{name: "RenameObject", method: "PUT", scope: onObject, marks: []string{"renameObject"}, effect: refuses, note: "the key is bound to the name; directory buckets alone have it"},
		{name: "UpdateObjectEncryption", method: "PUT", scope: onObject, marks: []string{"encryption"}, effect: refuses, note: "it would change the layer below unseen"},
		{name: "CreateSession", method: "GET", scope: onBucket, marks: []string{"session"}, effect: refuses, note: "directory buckets are not supported"},
		{name: "ListDirectoryBuckets", method: "GET", scope: onService, marks: []string{"x-id=ListDirectoryBuckets"}, effect: refuses, note: "directory buckets are not supported"},
		{name: "WriteGetObjectResponse", method: "POST", scope: onBucket, header: "X-Amz-Request-Route", effect: refuses, note: "the proxy is no Object Lambda"},
	}
	return append(rows, subresources()...)
})

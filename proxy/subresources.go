package proxy

import (
	"slices"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// subresource is a setting of a bucket or an object with its operations, which
// differ in nothing but their names.
type subresource struct {
	scope         scope
	mark          string
	get, put, del string
	post, list    string
	headers       []string // of the writing ones
	refused       string   // why; "" for forwarded ones
	// manages: a change may publish, copy or destroy what others wrote. So may each of a
	// bucket; of an object's only its ACL.
	manages bool
	// checked is what the PUT does instead of sending on what came; note says it.
	checked func(*exchange) error
	note    string
}

// subresources are the rows of all settings: the store's business, sent on with the
// client's document. What in one is of the ciphertext (sizes in an inventory or a
// journal) docs/S3.md says.
func subresources() (rows []operation) {
	grants := []string{"X-Amz-Acl", "X-Amz-Grant-*"}
	bypass := []string{"X-Amz-Bypass-Governance-Retention"}
	const notEncrypted = "what it stores would not be encrypted"
	for _, s := range []subresource{
		{scope: onObject, mark: "acl", get: "GetObjectAcl", put: "PutObjectAcl", headers: grants, manages: true},
		{scope: onObject, mark: "annotation", get: "GetObjectAnnotation", put: "PutObjectAnnotation", del: "DeleteObjectAnnotation", list: "ListObjectAnnotations", refused: notEncrypted},
		{scope: onObject, mark: "legal-hold", get: "GetObjectLegalHold", put: "PutObjectLegalHold"},
		{scope: onObject, mark: "retention", get: "GetObjectRetention", put: "PutObjectRetention", headers: bypass},
		{scope: onObject, mark: "tagging", get: "GetObjectTagging", put: "PutObjectTagging", del: "DeleteObjectTagging"},
		{scope: onBucket, mark: "abac", get: "GetBucketAbac", put: "PutBucketAbac"},
		{scope: onBucket, mark: "accelerate", get: "GetBucketAccelerateConfiguration", put: "PutBucketAccelerateConfiguration"},
		{scope: onBucket, mark: "acl", get: "GetBucketAcl", put: "PutBucketAcl", headers: grants},
		{scope: onBucket, mark: "analytics", get: "GetBucketAnalyticsConfiguration", put: "PutBucketAnalyticsConfiguration", del: "DeleteBucketAnalyticsConfiguration", list: "ListBucketAnalyticsConfigurations"},
		{scope: onBucket, mark: "intelligent-tiering", get: "GetBucketIntelligentTieringConfiguration", put: "PutBucketIntelligentTieringConfiguration", del: "DeleteBucketIntelligentTieringConfiguration", list: "ListBucketIntelligentTieringConfigurations"},
		{scope: onBucket, mark: "inventory", get: "GetBucketInventoryConfiguration", put: "PutBucketInventoryConfiguration", del: "DeleteBucketInventoryConfiguration", list: "ListBucketInventoryConfigurations"},
		{scope: onBucket, mark: "lifecycle", get: "GetBucketLifecycleConfiguration", put: "PutBucketLifecycleConfiguration", del: "DeleteBucketLifecycle", headers: []string{"X-Amz-Transition-Default-Minimum-Object-Size"}, checked: putLifecycle, note: "a rule that would take s3proxy's own objects is refused"},
		{scope: onBucket, mark: "logging", get: "GetBucketLogging", put: "PutBucketLogging"},
		{scope: onBucket, mark: "metadataAnnotationTable", put: "UpdateBucketMetadataAnnotationTableConfiguration"},
		{scope: onBucket, mark: "metadataConfiguration", get: "GetBucketMetadataConfiguration", del: "DeleteBucketMetadataConfiguration", post: "CreateBucketMetadataConfiguration"},
		{scope: onBucket, mark: "metadataInventoryTable", put: "UpdateBucketMetadataInventoryTableConfiguration"},
		{scope: onBucket, mark: "metadataJournalTable", put: "UpdateBucketMetadataJournalTableConfiguration"},
		{scope: onBucket, mark: "metadataTable", get: "GetBucketMetadataTableConfiguration", del: "DeleteBucketMetadataTableConfiguration", post: "CreateBucketMetadataTableConfiguration"},
		{scope: onBucket, mark: "metrics", get: "GetBucketMetricsConfiguration", put: "PutBucketMetricsConfiguration", del: "DeleteBucketMetricsConfiguration", list: "ListBucketMetricsConfigurations"},
		{scope: onBucket, mark: "notification", get: "GetBucketNotificationConfiguration", put: "PutBucketNotificationConfiguration", headers: []string{"X-Amz-Skip-Destination-Validation"}},
		{scope: onBucket, mark: "object-lock", get: "GetObjectLockConfiguration", put: "PutObjectLockConfiguration", headers: []string{"X-Amz-Bucket-Object-Lock-Token"}},
		{scope: onBucket, mark: "ownershipControls", get: "GetBucketOwnershipControls", put: "PutBucketOwnershipControls", del: "DeleteBucketOwnershipControls"},
		{scope: onBucket, mark: "policy", get: "GetBucketPolicy", put: "PutBucketPolicy", del: "DeleteBucketPolicy", headers: []string{"X-Amz-Confirm-Remove-Self-Bucket-Access"}},
		{scope: onBucket, mark: "policyStatus", get: "GetBucketPolicyStatus"},
		{scope: onBucket, mark: "publicAccessBlock", get: "GetPublicAccessBlock", put: "PutPublicAccessBlock", del: "DeletePublicAccessBlock"},
		{scope: onBucket, mark: "replication", get: "GetBucketReplication", put: "PutBucketReplication", del: "DeleteBucketReplication", headers: []string{"X-Amz-Bucket-Object-Lock-Token"}},
		{scope: onBucket, mark: "requestPayment", get: "GetBucketRequestPayment", put: "PutBucketRequestPayment"},
		{scope: onBucket, mark: "tagging", get: "GetBucketTagging", put: "PutBucketTagging", del: "DeleteBucketTagging"},
		{scope: onBucket, mark: "versioning", get: "GetBucketVersioning", put: "PutBucketVersioning", headers: []string{"X-Amz-Mfa"}},
		{scope: onBucket, mark: "website", get: "GetBucketWebsite", put: "PutBucketWebsite", del: "DeleteBucketWebsite"},
	} {
		rows = append(rows, s.rows()...)
	}
	return rows
}

func (s subresource) rows() (rows []operation) {
	add := func(method, name string, marks, query []string) {
		if name == "" {
			return
		}
		op := operation{name: name, method: method, scope: s.scope, marks: append([]string{s.mark}, marks...), query: query, headers: upstream.OwnerHeaders, effect: forwards, handle: forward}
		if method != "GET" {
			op.headers = slices.Concat(upstream.OwnerHeaders, s.headers)
			op.manages = s.manages || s.scope == onBucket
		}
		if method == "PUT" && s.checked != nil {
			op.effect, op.handle, op.note = rewrites, s.checked, s.note
		}
		if s.refused != "" {
			op.effect, op.handle, op.note = refuses, nil, s.refused
		}
		rows = append(rows, op)
	}
	var marks, query []string
	switch {
	case s.scope == onObject:
		query = []string{"versionId"}
	case s.list != "": // one of several configurations
		marks = []string{"id"}
	}
	add("GET", s.get, marks, query)
	add("PUT", s.put, marks, query)
	add("DELETE", s.del, marks, query)
	add("POST", s.post, nil, query)
	add("GET", s.list, nil, []string{"continuation-token"})
	return rows
}

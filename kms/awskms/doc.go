// Package awskms wraps keys with a symmetric key of AWS KMS.
//
// # URIs
//
//	awskms://alias/photos                                           an alias
//	awskms:///1234abcd-12ab-34cd-56ef-1234567890ab                  a key's id
//	awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-...   an ARN, of an alias too
//
// Credentials, region and endpoint are found as the AWS SDKs find them. If the same variables
// hold the store's credentials, ?profile=NAME names a profile of the shared configuration for
// KMS alone; ?region= and ?endpoint= set region and endpoint. An ARN's region overrides all of
// these.
//
// # Keys
//
// The name of a KEK is "awskms:#" and the ARN of the key that made the blob, as AWS
// answered it: an alias may move later. A context is AWS's encryption context, as it is,
// and appears in CloudTrail. AWS does not tell the version of a key, and opens what any of its
// versions wrapped: its automatic rotation needs nothing.
//
// # Which keys may open
//
// A KEK's name is the store's word, and the store's operator may own keys too: what such a key
// opens is forged. A Key that was configured by id or key ARN opens what that key, or its
// replica in another region, has wrapped, and nothing else. A Key that was configured by an
// alias opens what the key has wrapped that the alias names now. To open what a key wrapped
// that the alias named before, configure that key too.
//
// # Files
//
//   - awskms.go: the driver; key.go: its key and the names of keys; uri.go: its URIs
//   - errors.go: classes of AWS's errors; credentials.go: what may be said when there are no
//     credentials
package awskms

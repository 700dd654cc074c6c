// Package s3test is what a black-box test does as a client of S3, and as the operator of a
// store: requests written and signed by hand, of which each part can be wrong (Call,
// Stream, SignedForm), the SDKs (SDK, GoClient, Begin), what lies in the store (RawGet,
// RawPut, SealMultipart), and content to send and to compare (Content, SameBytes). Where
// it is said is a lab.S3: a proxy, or a store.
package s3test

// Package s3test is how black-box tests act as a client of S3, and as the operator of a store. It
// has requests written and signed by hand, each part of which can be wrong (Call, Stream,
// SignedForm), the SDKs (SDK, GoClient, Begin), access to what the store holds (RawGet, RawPut,
// SealMultipart), and content to send and compare (Content, SameBytes). A lab.S3 names the proxy or
// store to talk to.
package s3test

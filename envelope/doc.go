// Package envelope is object format 1 of s3proxy: what the store holds in
// place of an object. It knows keys, segments, the trailer and ranges, and
// nothing of HTTP, S3 or a KMS.
//
//	object   := part+ trailer
//	part     := segment+
//	segment  := IV(12) || ciphertext || tag(16)      at most 64 KiB of plaintext
//	trailer  := sealed part table || sealed summary || "S3PXYEND"
//
// Everything sealed is AES-256-GCM under the object's own key (the DEK), in the
// form that Tink's AesGcm writes with no prefix, and carries associated data
// that says what it is and where it belongs. The stored size is a function of
// the plaintext size alone ([StoredSize], [PlainSize]); the padding inside the
// sealed part table makes it so.
//
// Writing: [NewDEK], then [DEK.SealObject], or [DEK.SealPart] for each part and
// [DEK.SealTrailer] at the end. Reading: [ParseMetadata], [UnwrapDEK],
// [DEK.CheckCommitment], then [DEK.OpenObject] for all of it, or
// [DEK.OpenTrailer], [Layout.Span] and [DEK.Open] for a range.
//
// docs/FORMAT.md is normative: bytes, associated data, the checks that a reader
// makes and why each is there. testdata/vectors holds the same as data.
package envelope

//go:generate go run ./internal/vectorgen -out testdata/vectors

// Format is the only format number that this package writes and reads.
const Format = 1

// Sizes in bytes that the format fixes.
const (
	SegmentSize     = 64 << 10 // plaintext of a full segment
	SegmentOverhead = ivSize + tagSize
	KeySize         = 32 // AES-256

	ivSize  = 12
	tagSize = 16
)

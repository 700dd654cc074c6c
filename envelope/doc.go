// Package envelope implements object format 1 of s3proxy: the bytes that the store holds for an
// object. It handles keys, segments, the trailer and ranges; HTTP, S3 and the KMS are not its
// business.
//
//	object   := part+ trailer
//	part     := segment+
//	segment  := IV(12) || ciphertext || tag(16)      at most 64 KiB of plaintext
//	trailer  := sealed part table || sealed summary || "S3PXYEND"
//
// Everything is sealed with AES-256-GCM under the object's own key (the DEK), in the form that
// Tink's AesGcm writes without a prefix. The associated data says what a sealed piece is and where
// it belongs. The stored size depends on the plaintext size alone ([StoredSize], [PlainSize]),
// thanks to padding inside the sealed part table.
//
// To write: [NewDEK], then [DEK.SealObject], or [DEK.SealHeld] for what is in memory, or
// [DEK.SealPart] for each part and [DEK.SealTrailer] at the end. To read: [ParseMetadata], [UnwrapDEK],
// [DEK.CheckCommitment], then [DEK.OpenObject] for the whole object, or
// [DEK.OpenTrailer], [Layout.Span] and [DEK.Open] for a range.
//
// docs/FORMAT.md is normative: it defines the bytes, the associated data and the checks a reader
// must make, with the reason for each. testdata/vectors holds test vectors for all of it.
package envelope

//go:generate go run ./internal/vectorgen -out testdata/vectors

// Format is the only format number this package writes and reads.
const Format = 1

// Sizes in bytes, fixed by the format.
const (
	SegmentSize     = 64 << 10 // plaintext of a full segment
	SegmentOverhead = ivSize + tagSize
	KeySize         = 32 // AES-256

	ivSize  = 12
	tagSize = 16
)

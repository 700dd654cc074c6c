package main

import "slices"

// byDesign are the skips that take nothing away from the proof: for features that a driver or a
// store does not have, and for tools that make a release. With S3PROXY_TEST_REQUIRE=1 any other
// skip fails the run.
var byDesign = []struct {
	pkg     string
	reasons []string
}{
	{"kms", []string{"no kms.Namer"}}, // the fake KMS
	{"kms/awskms", []string{"the key is no kms.Rotator"}},
	{"kms/localfile", []string{"the key is no kms.Rewrapper", "the harness has no Unavailable", "the harness has no Denied", "the harness has no RemovedKey"}},
	{"kms/vault", []string{"the key is no kms.Rewrapper"}},
	{"test/commands", []string{"S3PROXY_TEST_KEEP names no release"}},
	{"test/objects", []string{"versitygw has no versions in a bucket without versioning"}},
}

func isByDesign(pkg, reason string) bool {
	for _, accepted := range byDesign {
		if accepted.pkg == pkg {
			return slices.Contains(accepted.reasons, reason)
		}
	}
	return false
}

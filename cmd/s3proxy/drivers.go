package main

import (
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

// drivers lists the KMSs that this program speaks to, one line each.
func drivers() *kms.Registry {
	r := kms.NewRegistry()
	r.Register(localfile.Scheme, localfile.Opener)
	return r
}

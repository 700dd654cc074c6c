package main

import (
	"sync"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/awskms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/kms/vault"
)

// drivers lists the KMSs that this program can use, one line each. All keys of a KMS share
// its login.
var drivers = sync.OnceValue(func() *kms.Registry {
	r := kms.NewRegistry()
	r.Register(awskms.Scheme, awskms.Opener)
	r.Register(localfile.Scheme, localfile.Opener)
	r.Register(vault.Scheme, vault.Opener())
	return r
})

//go:build mint

// What the functional tests of minio-go import. They are no package that could be pinned: lab
// copies them out of the module.
package main

import _ "github.com/minio/minio-go/v7"

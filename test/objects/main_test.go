// Package objects proves what clients can do with objects: writes, reads, copies, conditions,
// checksums, lists, versions, forms, server-side encryption.
package objects

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

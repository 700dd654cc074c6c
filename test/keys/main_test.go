// Package keys proves what becomes of keys: rotation and rekeying under load, a KMS that is
// moved, away or watched, the keyset's file.
package keys

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

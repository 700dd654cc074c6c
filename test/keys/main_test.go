// Package keys proves what becomes of keys: rotation and rekeying under load, a KMS that is
// moved, away or watched, the keyset's file.
package keys

import (
	"flag"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// Most of what these tests do is wait: for a window, a lease, a proxy's next look at the store.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	lab.Main(m)
}

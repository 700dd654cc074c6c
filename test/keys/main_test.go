// Package keys proves what happens to keys: rotation and rekeying under load, a KMS that is
// replaced, unreachable or watched, and the keyset file.
package keys

import (
	"flag"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// These tests mostly wait: for a window, a lease, or a proxy's next look at the store.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	lab.Main(m)
}

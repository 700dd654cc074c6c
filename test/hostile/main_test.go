// Package hostile proves that the proxy believes neither a store that lies nor clients that send
// what no client should.
package hostile

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

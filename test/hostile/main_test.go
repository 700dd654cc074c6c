// Package hostile proves that neither a store that lies, nor clients that send what no client
// should, are believed.
package hostile

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package running proves how a proxy starts, is set up, finds its store and buckets, knows its
// clients, and ends.
package running

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

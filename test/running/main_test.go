// Package running proves how a proxy starts, is configured, finds its store and buckets, identifies
// its clients, and ends.
package running

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

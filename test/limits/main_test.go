// Package limits proves bounds on the memory and the connections of a proxy.
package limits

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package limits proves how much memory and how many connections a proxy needs.
package limits

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package random proves with random calls that the answers are the store's own, and that concurrent
// clients of several replicas see a single order.
package random

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

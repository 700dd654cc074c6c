// Package multipart proves that multipart uploads work, and that they end whole or not at all when
// the proxy or the store dies between any two calls.
package multipart

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

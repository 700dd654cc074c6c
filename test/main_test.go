// Package test proves s3proxy from outside: the real binary between real
// clients and real stores.
package test

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

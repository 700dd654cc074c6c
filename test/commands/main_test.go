// Package commands proves the commands beside serve, and what is read without a proxy:
// decrypt.py, the objects of earlier releases.
package commands

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

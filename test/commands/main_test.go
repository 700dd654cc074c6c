// Package commands proves the commands other than serve, and what can be read without a proxy:
// decrypt.py, and the objects of earlier releases.
package commands

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package deploy proves what is in the folder deploy: that it builds, is valid, and runs.
package deploy

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package everyclient runs the programs that people use S3 with, each once at the store itself and
// once through three replicas of the proxy behind HAProxy, and keeps what came of it as a table in
// docs/clients/README.md. Where a page of docs/clients tells how a program is set up, the commands
// of that page are what is run.
package everyclient

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

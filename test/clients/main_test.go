// Package clients proves that the clients which people have work: SDKs, aws-cli, boto3,
// rclone, restic, s3cmd, versitygw's own suite.
package clients

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

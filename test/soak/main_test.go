// Package soak lets real clients work for minutes on three replicas behind a load balancer, while
// replicas and the store are killed and the key is rotated. No acknowledged write may be lost, no
// byte may be wrong, and memory must not grow.
package soak

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package attacks proves that the proxy refuses whatever an attacker without keys can send or
// change, and that no plaintext and no secret is in any place an attacker can look at.
package attacks

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Package attacks proves that what an attacker without keys can send or change is refused, and
// that no plaintext and no secret is where he can look.
package attacks

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

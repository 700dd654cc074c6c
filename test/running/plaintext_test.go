package running

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestAListenerWithoutTLSThatOtherMachinesReachWarns(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	const warning = "level=WARN msg=\"clients on other machines send and get what they store in the clear"
	for _, c := range []struct {
		host  string
		args  []string
		warns bool
	}{
		{"127.0.0.1", nil, false}, {"127.0.0.2", nil, false}, {"localhost", nil, false},
		{"0.0.0.0", nil, true}, {"", nil, true}, {"0.0.0.0", []string{"--plaintext-listen"}, false},
	} {
		_, port, _ := strings.Cut(lab.FreeAddress(t), ":")
		p := lab.Proxy(t, lab.ProxyOptions{Address: c.host + ":" + port, Args: c.args})
		awaitLog(t, p, "listens on")
		if got := strings.Contains(p.Log(), warning); got != c.warns {
			t.Errorf("%q %v: warned: %v\n%s", c.host, c.args, got, p.Log())
		}
		if c.host != "" {
			s3test.RoundTrip(t, p.S3(), s3test.NewBucket(t, p.S3()), 1000)
		}
	}
}

package limits

import (
	"net/http"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// A stream of 1 GB passes through a proxy in constant memory, in both directions.
func TestAStreamOfOneGigabyteNeedsLittleMemory(t *testing.T) {
	lab.TakesLong(t)
	const limit = 64 << 20
	size := int64(1_000_000_000)
	if lab.Long {
		size = 5_000_000_000
	}
	for _, name := range lab.AllTargets {
		t.Run(name, func(t *testing.T) {
			var store *lab.Store
			switch name {
			case lab.OnVersitygw:
				store = lab.SharedVersitygw(t)
			case lab.OnMinIO:
				store = lab.SharedMinIO(t)
			}
			if lab.Direct {
				t.Skip("there is no proxy to measure")
			}
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
			at := p.S3()
			path := "/" + s3test.NewBucket(t, at) + "/large"
			if err := s3test.PutStream(t, at, path, 1, size); err != nil {
				t.Fatal(err)
			}
			afterPut, err := p.PeakMemory()
			if err != nil {
				lab.Skip(t, "there is no /proc")
			}
			if err := s3test.GetStream(t, at, path, 1, size); err != nil {
				t.Fatal(err)
			}
			peak, err := p.PeakMemory()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak memory: %d MiB after the PUT, %d MiB after the GET", afterPut>>20, peak>>20)
			if peak >= limit {
				t.Errorf("peak memory is %d MiB, want less than %d", peak>>20, limit>>20)
			}
			s3test.Call{Method: http.MethodDelete, Path: path}.Do(t, at)
		})
	}
}

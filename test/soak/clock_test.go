package soak

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// A clock that is slightly wrong does no harm. While it is far off, all requests fail because no
// signature is valid; once it is right again, everything works, and nothing is lost or wrong.
func TestAClockThatJumpsDamagesNothing(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	bin, store := lab.JumpyS3proxy(t), lab.SharedVersitygw(t)
	uri, _ := lab.NewKeyset(t)
	for name, by := range map[string]time.Duration{
		"ten minutes forward": 10 * time.Minute, "ten minutes back": -10 * time.Minute, "a day forward": 24 * time.Hour, "a day back": -24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := lab.FreeAddress(t)
			began := time.Now()
			const jumps, returns = 4 * time.Second, 9 * time.Second
			p := lab.Start(t, "s3proxy", bin, []string{"serve", "--listen", address, "--admin-listen", "", "--upstream", store.URL, "--kms", uri, "--key-window", "2s"}, lab.Env(
				"AWS_ACCESS_KEY_ID="+store.AccessKey, "AWS_SECRET_ACCESS_KEY="+store.SecretKey, "S3PROXY_ACCESS_KEY_ID="+lab.ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY="+lab.ClientSecretKey,
				lab.JumpsOf(lab.Jump{After: jumps, By: by}, lab.Jump{After: returns})))
			p.AwaitListening(t, address)
			at := lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
			bucket := s3test.NewBucket(t, at)
			small := by.Abs() < 15*time.Minute // the difference that S3 allows
			written, refused := 0, 0
			for i := 0; time.Since(began) < returns+3*time.Second; i++ {
				put := s3test.Call{Method: http.MethodPut, Path: fmt.Sprintf("/%s/k%d", bucket, i), Body: s3test.Content(uint64(i), 1000)}.Do(t, at)
				inside := time.Since(began)
				switch {
				case put.Status == 200:
					written++
					if a := s3test.Get(t, at, fmt.Sprintf("/%s/k%d", bucket, i)); a.Status == 200 && s3test.SameBytes(a.Body, s3test.Content(uint64(i), 1000)) != nil {
						t.Errorf("k%d has wrong bytes", i)
					}
				case small, inside < jumps-time.Second, inside > returns+time.Second:
					t.Errorf("after %v: %v", inside, put)
				case put.Code == "RequestTimeTooSkewed":
					refused++
				default:
					t.Errorf("after %v: %v", inside, put)
				}
				time.Sleep(20 * time.Millisecond)
			}
			if written < 50 || !small && refused < 20 {
				t.Errorf("%d were written and %d refused", written, refused)
			}
			for i := range written / 10 {
				if a := s3test.Get(t, at, fmt.Sprintf("/%s/k%d", bucket, i)); a.Status != 200 || s3test.SameBytes(a.Body, s3test.Content(uint64(i), 1000)) != nil {
					t.Errorf("k%d at the end: %v", i, a)
				}
			}
			if strings.Contains(p.Log(), "panic") || strings.Contains(p.Log(), "integrity=") {
				t.Error(p.Log())
			}
			t.Logf("%d written, %d refused", written, refused)
		})
	}
}

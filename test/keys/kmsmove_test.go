package keys

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The steps of docs/KEYS.md, "Move to another KMS": from a local file to Vault and on to AWS KMS,
// without a single failing request.
func TestAKMSIsExchangedWithNoDowntime(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	chain := []lab.KEK{lab.LocalKEK(t), lab.VaultKEK(t), lab.EmulatedKEK(t)}
	store := lab.SharedMinIO(t)
	short := []string{"--key-window-objects", "20"}
	kms := func(write lab.KEK, read *lab.KEK) (env, args []string) {
		env, args = write.Env, []string{"--kms", write.URI}
		if read != nil {
			env, args = slices.Concat(write.Env, read.Env), append(args, "--kms-read", read.URI)
		}
		return env, args
	}
	env, args := kms(chain[0], nil)
	b := lab.Balance(t, store, env, append(args, short...)...)
	u := use(t, b.S3(), s3test.NewBucket(t, b.S3()))
	time.Sleep(time.Second)
	for i := range chain[1:] {
		old, fresh := chain[i], chain[i+1]
		env, args := kms(old, &fresh)
		b.Exchange(env, append(args, short...)...)
		env, args = kms(fresh, &old)
		b.Exchange(env, append(args, short...)...)
		rotate := lab.Start(t, "rotate", lab.S3proxy(t), slices.Concat([]string{"keys", "rotate", "--settle", "1s", "--upstream", store.URL, "s3://" + u.bucket}, args), store.S3().Env(env...))
		if code, ended := rotate.Wait(time.Minute); code != 0 || !ended {
			t.Fatalf("keys rotate: exit code %d: %s", code, rotate.Log())
		}
		status := lab.Start(t, "status", lab.S3proxy(t), slices.Concat([]string{"keys", "status", "--objects", "--upstream", store.URL, "s3://" + u.bucket}, args), store.S3().Env(env...))
		if code, ended := status.Wait(time.Minute); code != 0 || !ended {
			t.Fatalf("keys status: exit code %d: %s", code, status.Log())
		}
		scheme, _, _ := strings.Cut(old.URI, ":")
		asked := 0
		for line := range strings.Lines(status.Log()) {
			if strings.HasPrefix(line, scheme+":") {
				if asked++; !strings.HasSuffix(strings.TrimSpace(line), "yes") {
					t.Errorf("keys status: %s", line)
				}
			}
		}
		if asked == 0 {
			t.Errorf("keys status does not speak of %s:\n%s", scheme, status.Log())
		}
		env, args = kms(fresh, nil)
		b.Exchange(env, append(args, short...)...)
		old.End(t)
	}
	u.stop()
	for what, all := range map[string][]answered{"a write": u.writes, "a read": u.reads} {
		for _, a := range all {
			if a.status != http.StatusOK {
				t.Errorf("%s: status %d: %s %s", what, a.status, a.code, a.text)
			}
		}
	}
	last := chain[len(chain)-1]
	u.check(lab.ProxyOptions{Upstream: store, Env: last.Env, Args: []string{"--kms", last.URI}})
	t.Logf("%d writes and %d reads beside it", len(u.writes), len(u.reads))
}

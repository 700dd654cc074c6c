package commands

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// 0 yes or done, 1 failed, 2 usage, 3 no; docs/COMMANDS.md and help have the same table.
func TestTheExitCodeTellsANoFromAFailure(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	k.proxied(func(client *s3.Client) { k.put(client, "a", s3test.Content(1, 1000)) })
	s3url, gone := "s3://"+k.bucket, "s3://there-is-none"
	first := k.primary()
	for _, c := range []struct {
		want int
		args []string
	}{
		{0, []string{"keys", "verify", s3url}},
		{0, []string{"help", "exit-codes"}},
		{3, []string{"keys", "status", "--objects", "--kek", first, s3url}},
		{3, []string{"keys", "status", "--kek", first, s3url}},
		{0, []string{"keys", "status", "--objects", s3url}},
		{1, []string{"keys", "status", "--objects", "--kek", first, gone}},
		{1, []string{"keys", "status", "--objects", "--kek", first, s3url, gone}},
		{2, []string{"keys", "status", "--objects", "--kek", k.kms, s3url}},
		{2, []string{"keys", "status", "--objects", "--keck", first, s3url}},
		{2, []string{"keys", "verify", "--progress", "loud", s3url}},
		{2, []string{"keys", "verify"}},
		{2, []string{"keys", "verify", "--all-buckets", s3url}},
		{2, []string{"encrypt-existing", "--all-buckets"}},
		{2, []string{"decrypt-existing", s3url}}, // proxies refuse plaintext in this bucket
		{1, []string{"keys", "verify", gone}},
		{1, []string{"gc", gone}},
	} {
		args := append(c.args, "--kms", k.kms, "--upstream", k.store.URL)
		if c.args[0] == "help" {
			args = c.args
		}
		out, code := lab.Command(t, k.store, args...)
		if code != c.want {
			t.Errorf("%q: exit code %d, not %d: %s", c.args, code, c.want, out)
		}
	}
	for _, args := range [][]string{{"help", "exit-codes"}, {"--help"}} {
		if out, err := lab.RunS3proxy(t, args...); err != nil || !strings.Contains(out, "  3  no: the question could be looked into") {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
}

package commands

import (
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// Completion knows what a shell asks for: the values of flags, files by type, and the configured
// buckets. It sends no request to anybody.
func TestCompletionKnowsTheValuesOfFlags(t *testing.T) {
	config := lab.PrivateFile(t, "buckets:\n  photos: {etag: md5}\n  archive: {encrypt: false}\nupstream: http://127.0.0.1:1\nbucket-alias: [copy=photos]\n")
	for _, c := range []struct {
		args []string
		want string // lines, the directive last
	}{
		{[]string{"keys", "rotate", "--progress", ""}, "auto plain json none :4"},
		{[]string{"serve", "--etag", ""}, "opaque md5 :4"},
		{[]string{"serve", "--log-level", ""}, "error warn info debug trace :4"},
		{[]string{"serve", "--log-format", ""}, "text json :4"},
		{[]string{"serve", "--upstream-payload", ""}, "checked signed unsigned :4"},
		{[]string{"serve", "--upstream-addressing", ""}, "path virtual auto :4"},
		{[]string{"serve", "--auth", ""}, "sigv4 none :4"},
		{[]string{"keys", "verify", "--kms", ""}, "awskms:// localfile:// vault:// :6"},
		{[]string{"serve", "--data-dir", ""}, ":16"},
		{[]string{"serve", "--config", ""}, "yaml yml :8"},
		{[]string{"serve", "--upstream-ca", ""}, ":0"},
		{[]string{"serve", "--drain-timeout", ""}, ":4"},
		{[]string{"keys", "rotate", "--config", config, ""}, "s3://archive s3://copy s3://photos :6"},
		{[]string{"decrypt", "--config", config, ""}, "s3://archive s3://copy s3://photos :2"},
		{[]string{"keys", "rotate", "--config", config + "gone", ""}, ":6"},
		{[]string{"doctor", "--config", config, "--bucket", ""}, "archive copy photos :4"},
		{[]string{"keys", "list", ""}, ":4"},
		{[]string{"keys", "ver"}, "verify :4"},
	} {
		out, err := lab.RunS3proxy(t, append([]string{"__complete"}, c.args...)...)
		var got []string
		for line := range strings.Lines(out) {
			value, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			got = append(got, value)
			if strings.HasPrefix(value, ":") {
				break
			}
		}
		if err != nil || !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%q: %q, %v", c.args, got, err)
		}
	}
}

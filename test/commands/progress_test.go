package commands

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/creack/pty"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// onTerminal runs the binary on a terminal of 100 columns and gives what it shows.
func (k *keyed) onTerminal(args ...string) string {
	k.t.Helper()
	cmd := exec.Command(lab.S3proxy(k.t), append(args, "--kms", k.kms, "--upstream", k.store.URL)...)
	cmd.Env = lab.Env("HOME="+k.t.TempDir(), "TERM=xterm", "AWS_ACCESS_KEY_ID="+k.store.AccessKey, "AWS_SECRET_ACCESS_KEY="+k.store.SecretKey)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		k.t.Fatal(err)
	}
	defer terminal.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, terminal) // Linux ends it with an error when the program is gone
	if err := cmd.Wait(); err != nil {
		k.t.Fatalf("%q: %v\n%s", args, err, &shown)
	}
	return shown.String()
}

// On a terminal the commands that take long show how far they are, how fast, and for how
// long still; elsewhere nothing but their result is written.
func TestLongCommandsShowTheirProgressOnATerminal(t *testing.T) {
	lab.TakesLong(t)
	onKeyed(t, func(k *keyed) {
		const objects = 60
		k.proxied(func(client *s3.Client) {
			for i := range objects {
				k.put(client, fmt.Sprintf("o%02d", i), s3test.Content(uint64(i), 100))
			}
		})
		under := regexp.MustCompile(`\d+ / (60|120) objects \[.*\] \d+/s \d+s left`)
		ended := regexp.MustCompile(`(60 / 60|120 / 120) objects \[.*\] \d+/s in [\d.]+s`)
		s3url := "s3://" + k.bucket
		for _, args := range [][]string{
			{"keys", "verify", "--rate", "30", s3url},
			{"keys", "rotate", "--new-version", "--objects", "--settle", "0", "--rate", "30", s3url},
			{"keys", "status", "--objects", "--rate", "30", s3url},
		} {
			shown := k.onTerminal(args...)
			if !under.MatchString(shown) || !ended.MatchString(shown) {
				t.Errorf("%q shows no progress:\n%s", args, strings.ReplaceAll(shown, "\r", "\n"))
			}
		}
		if out := k.command(0, "keys", "verify", s3url); strings.Contains(out, "left") || strings.Contains(out, "\r") {
			t.Errorf("without a terminal: %q", out)
		}
	})
}

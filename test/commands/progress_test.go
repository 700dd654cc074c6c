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

// onTerminal runs the binary on a terminal of 100 columns and returns what it shows.
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
	_, _ = io.Copy(&shown, terminal) // on Linux, it ends with an error when the program is gone
	if err := cmd.Wait(); err != nil {
		k.t.Fatalf("%q: %v\n%s", args, err, &shown)
	}
	return shown.String()
}

// On a terminal, long commands show their progress, their speed and the remaining time; elsewhere
// they write only their result.
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

// Without a terminal, a line on standard error every ten seconds says how far the command is. It
// names no object.
func TestLongCommandsShowTheirProgressInLines(t *testing.T) {
	lab.TakesLong(t)
	k := onStore(t, lab.SharedVersitygw(t))
	const objects = 26
	k.proxied(func(client *s3.Client) {
		for i := range objects {
			k.put(client, fmt.Sprintf("secret-name-%02d", i), s3test.Content(uint64(i), 1000))
		}
	})
	for how, line := range map[string]string{
		"auto": `^s3://` + k.bucket + `/: (19|2\d) objects, 0\.0 MiB, 0 failed, [12]\.\d/s\n$`,
		"json": `^{"event":"progress","time":"[^"]+","bucket":"` + k.bucket + `","unit":"objects","done":(19|2\d),"bytes":\d+,"failed":0,"per-second":[12](\.\d+)?}\n$`,
		"none": `^$`,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			out, errs, code := k.apart("keys", "verify", "--rate", "2", "--json", "--progress", how, "s3://"+k.bucket)
			if code != 0 || !regexp.MustCompile(line).MatchString(errs) || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, `{"bucket":`) {
				t.Errorf("exit code %d, on standard error %q, wanted %s; on standard output %s", code, errs, line, out)
			}
		})
	}
}

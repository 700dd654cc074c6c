package commands

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// An interrupted run says what it has done so far, and that it can be resumed. Run again, it does
// the rest.
func TestARunThatIsInterruptedSaysSoAndGoesOnWhenItIsRunAgain(t *testing.T) {
	lab.TakesLong(t)
	onKeyed(t, func(k *keyed) {
		t := k.t
		const objects = 30
		for i := range objects {
			k.put(k.raw(), fmt.Sprintf("o%02d", i), s3test.Content(uint64(i), 1000))
		}
		s3url := "s3://" + k.bucket
		for _, c := range []struct {
			counted string // in the summary
			args    []string
		}{
			{"objects encrypted", []string{"encrypt-existing"}},
			{"objects renewed", []string{"keys", "rotate", "--objects", "--new-version", "--settle", "0"}},
			{"objects with", []string{"keys", "verify"}},
			{"objects encrypted again", []string{"keys", "rekey", "--new-version", "--settle", "0"}},
		} {
			rekey := c.args[1%len(c.args)] == "rekey"
			out := k.interrupted("GET", append(c.args, s3url))
			goOn := "s3proxy: interrupted, run it again to go on\n"
			if rekey {
				goOn = "s3proxy: interrupted, run it again with --resume to go on\n"
			}
			summary := ""
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, s3url) && strings.Contains(line, c.counted) {
					summary = line
				}
			}
			if !strings.HasSuffix(out, goOn) || summary == "" || strings.Contains(summary, fmt.Sprint(": ", objects, " ")) || strings.Contains(summary, ": 0 ") || strings.Contains(out, "context canceled") {
				t.Errorf("%q: %s", c.args, out)
			}
			var again []string
			for _, arg := range c.args {
				if arg != "--new-version" {
					again = append(again, arg)
				}
			}
			if rekey {
				again = append(again, "--resume", regexp.MustCompile(`--resume ([0-9a-f]{32})`).FindStringSubmatch(out)[1])
			}
			if rekey && k.versioned() {
				again = append(again, "--leave-behind")
			}
			k.command(0, append(again, s3url)...)
		}
		k.proxied(func(client *s3.Client) {
			for i := range objects {
				s3test.WantObject(t, client, k.bucket, fmt.Sprintf("o%02d", i), s3test.Content(uint64(i), 1000))
			}
		})
		if out := k.command(0, "keys", "verify", s3url); !strings.Contains(out, fmt.Sprint(" ", objects, " objects with")) {
			t.Errorf("after all: %s", out)
		}
		out := k.interrupted("HEAD", []string{"gc", "--records", "--records-grace", "0", "--json", s3url, "s3://never-begun"})
		var line struct{ Interrupted bool }
		if err := json.Unmarshal([]byte(lab.JSONLine(out)), &line); err != nil || !line.Interrupted || strings.Contains(out, "never-begun") {
			t.Errorf("gc: %v: %s", err, out)
		}
		k.command(0, "gc", "--records", "--records-grace", "0", s3url)
	})
}

// interrupted runs a command on the bucket's objects slowly, interrupts it when it requests the
// twelfth object, and returns its output.
func (k *keyed) interrupted(method string, args []string) string {
	k.t.Helper()
	through, enough := lab.Count(k.t, k.store), make(chan struct{})
	// The command works on eight objects at once: when it reaches the twelfth, some are done.
	twelfth := afterObjects(12, "/"+k.bucket+"/o", func() { close(enough) })
	through.First = func(r *http.Request) {
		if r.Method == method {
			twelfth(r)
		}
	}
	p := lab.Start(k.t, args[0], lab.S3proxy(k.t), append(args, "--rate", "10", "--kms", k.kms, "--upstream", through.URL), k.store.S3().Env())
	select {
	case <-enough:
	case <-time.After(lab.AnswerWithin):
		k.t.Fatalf("%q: it comes to no twelfth object: %s", args, p.Log())
	}
	if err := syscall.Kill(p.PID(), syscall.SIGINT); err != nil {
		k.t.Fatal(err)
	}
	if code, ended := p.Wait(lab.AnswerWithin); !ended || code != 1 {
		k.t.Errorf("%q: exit code %d: %s", args, code, p.Log())
	}
	return p.Log()
}

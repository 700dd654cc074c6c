package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

const oneKeyForAll = "a list with one key for all"

// listLies falsify a bucket's lists.
func listLies() []lie {
	document := func(name string, change func(string) string) lie {
		return lie{name: name, tell: func(a *lab.Reply) {
			if strings.Contains(string(a.Body), "<List") {
				a.SetBody([]byte(change(string(a.Body))))
			}
		}}
	}
	return []lie{
		document("a list that goes on for ever", func(s string) string {
			s = strings.Replace(s, "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken><NextMarker>again</NextMarker>"+
				"<NextKeyMarker>again</NextKeyMarker><NextUploadIdMarker>again</NextUploadIdMarker><NextVersionIdMarker>again</NextVersionIdMarker>", 1)
			return s
		}),
		document("a list that is cut", func(s string) string { return s[:len(s)*2/3] }),
		document("a list in deep elements", func(string) string { return strings.Repeat("<a>", 200_000) }),
		document("a list that names entities", func(s string) string {
			return `<!DOCTYPE x [<!ENTITY e "eeee">]>` + strings.ReplaceAll(s, "object-1", "&e;")
		}),
		document("a list that is another document", func(string) string { return "<Error><Code>SlowDown</Code></Error>" }),
		document(oneKeyForAll, func(s string) string { return strings.ReplaceAll(s, "object-1", "object-2") }),
		document("a list with sizes that are none", func(s string) string { return strings.ReplaceAll(s, "<Size>", "<Size>-") }),
		{name: "a list without end", tell: func(a *lab.Reply) {
			if strings.Contains(string(a.Body), "<List") {
				a.Endless = true
				a.Header.Del("Content-Length")
			}
		}},
	}
}

// objectLies are some of the lies about content, for every object that is not the proxy's own.
func objectLies() (all []lie) {
	ofBytes := append(bodyLies(), aboutLarge(bodyLies())...)
	lies := slices.Concat(ofBytes, headLies(), metaLies())
	step := 27
	if lab.Long {
		step = 2
	}
	for n := 0; n < len(lies); n += step {
		l := lies[n]
		all = append(all, lie{name: l.name, bytes: n < len(ofBytes), tell: func(a *lab.Reply) {
			read := a.Request.Method == http.MethodGet || a.Request.Method == http.MethodHead
			if read && strings.Contains(a.Request.URL.Path, "/object-") {
				l.tell(a)
			}
		}})
	}
	return all
}

// Whatever a store tells a command: the command ends, and afterwards everything that was there is
// still there and reads as before.
func TestCommandsOnAHostileStoreEndAndHarmNothing(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	store := lab.SharedVersitygw(t)
	for name, args := range map[string][]string{
		"keys verify":      {"keys", "verify"},
		"keys rotate":      {"keys", "rotate", "--objects", "--new-version", "--settle", "0"},
		"keys rekey":       {"keys", "rekey", "--new-version", "--settle", "0"},
		"encrypt-existing": {"encrypt-existing"},
		"decrypt-existing": {"decrypt-existing", "--allow-plaintext-reads"},
		"gc":               {"gc", "--grace", "0"},
		"gc of records":    {"gc", "--records", "--records-grace", "0"},
	} {
		if !lab.Long && name != "keys rotate" && name != "gc of records" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile := lab.Hostile(t, store)
			uri, _ := lab.NewKeyset(t)
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}})
			bodies := [][]byte{s3test.Content(0, 0), s3test.Content(1, 1), s3test.Content(2, 65536), s3test.Content(3, 150_000)}
			attacks := 0
			for _, l := range append(objectLies(), listLies()...) {
				if name == "keys rekey" && l.name == oneKeyForAll {
					continue // what a list leaves out is not encrypted again: lists are the store's word (THREATS.md)
				}
				bucket := s3test.NewBucket(t, proxy.S3()) // a new one, as a lie may leave work half done
				for n, body := range bodies {
					s3test.MustPut(t, proxy.S3(), fmt.Sprintf("/%s/object-%d", bucket, n), body)
				}
				var strays []string
				hostile.Tell(func(a *lab.Reply) {
					if a.Request.Method == http.MethodDelete && !strings.HasPrefix(a.Request.URL.Path, "/"+bucket+"/.s3proxy/") {
						strays = append(strays, a.Request.URL.Path)
					}
					if strings.HasPrefix(a.Request.URL.Path, "/"+bucket) {
						l.tell(a)
					}
				})
				code, out := boundedCommand(t, store, append(args, "s3://"+bucket, "--kms", uri, "--upstream", hostile.URL)...)
				told := hostile.Tell(nil)
				if told > 0 {
					attacks++
				}
				if code < 0 {
					t.Errorf("%s: the command does not end:\n%.2000s", l.name, out)
				}
				if code == 0 && told > 0 && name == "keys verify" && l.bytes {
					t.Errorf("%s: the command finds nothing:\n%.1500s", l.name, out)
				}
				if len(strays) > 0 {
					t.Errorf("%s: the command removed %v", l.name, strays)
				}
				// A proxy that starts only now: --settle 0 assumes that none was running.
				settings := []string{"--kms", uri}
				if name == "decrypt-existing" {
					settings = append(settings, "--allow-plaintext-reads")
				}
				reader := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: settings})
				for n, body := range bodies {
					got := s3test.Get(t, reader.S3(), fmt.Sprintf("/%s/object-%d", bucket, n))
					if got.Status == 200 && got.Err == nil && s3test.SameBytes(got.Body, body) != nil {
						t.Errorf("%s (exit %d, %d told): wrong bytes: %v", l.name, code, told, got)
					} else if got.Status != 200 || got.Err != nil {
						t.Errorf("%s (exit %d, %d told): object %d is lost: %v\n%.1500s", l.name, code, told, n, got, out)
					}
				}
				reader.Term()
				reader.Wait(lab.AnswerWithin)
			}
			t.Logf("%d attacks", attacks)
			if attacks == 0 {
				t.Error("no lie was told")
			}
		})
	}
}

// boundedCommand is lab.Command with a time limit; code -1 means that it had to be killed.
func boundedCommand(t *testing.T, store *lab.Store, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab.S3proxy(t), args...)
	cmd.Env = lab.Env("HOME="+t.TempDir(), "AWS_ACCESS_KEY_ID="+store.AccessKey, "AWS_SECRET_ACCESS_KEY="+store.SecretKey)
	raw, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return -1, string(raw)
	case errors.As(err, &exit):
		return exit.ExitCode(), string(raw)
	case err != nil:
		t.Fatal(err)
	}
	return 0, string(raw)
}

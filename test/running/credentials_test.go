package running

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestAnAccessKeyMayDoWhatItsEntryGrants(t *testing.T) {
	t.Parallel()
	store := lab.SharedVersitygw(t)
	granted, other := lab.FreeName("granted"), lab.FreeName("other")
	file := lab.PrivateFile(t, fmt.Sprintf(`
- {access-key-id: limited, secret-access-key: limited-secret, buckets: [%s, not-there]}
- {access-key-id: reader, secret-access-key-file: %s, read-only: true}
- {access-key-id: nothing, secret-access-key: nothing-secret, buckets: []}
`, granted, lab.PrivateFile(t, "reader-secret\n")))
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--credentials", file}})
	for _, bucket := range []string{granted, other} {
		s3test.MakeBucket(t, proxy.S3(), bucket)
		s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
	}
	limited, reader, nothing := lab.ProxyAs(proxy, "limited", "limited-secret"), lab.ProxyAs(proxy, "reader", "reader-secret"), lab.ProxyAs(proxy, "nothing", "nothing-secret")
	body := s3test.Content(1000, 1000)
	s3test.RoundTrip(t, limited, granted, 1000)
	for _, c := range []struct {
		what   string
		at     lab.S3
		call   s3test.Call
		status int
	}{
		{"another bucket read", limited, s3test.Call{Method: "GET", Path: "/" + other + "/k"}, 403},
		{"another bucket written", limited, s3test.Call{Method: "PUT", Path: "/" + other + "/new", Body: body}, 403},
		{"another bucket listed", limited, s3test.Call{Method: "GET", Path: "/" + other}, 403},
		{"another bucket headed", limited, s3test.Call{Method: "HEAD", Path: "/" + other}, 403},
		{"another bucket made", limited, s3test.Call{Method: "PUT", Path: "/" + lab.FreeName("new")}, 403},
		{"read", reader, s3test.Call{Method: "GET", Path: "/" + other + "/k"}, 200},
		{"listed", reader, s3test.Call{Method: "GET", Path: "/" + other}, 200},
		{"written by a reader", reader, s3test.Call{Method: "PUT", Path: "/" + other + "/k", Body: body}, 403},
		{"deleted by a reader", reader, s3test.Call{Method: "DELETE", Path: "/" + other + "/k"}, 403},
		{"many deleted by a reader", reader, s3test.Call{Method: "POST", Path: "/" + other, Query: "delete", Body: []byte("<Delete><Object><Key>k</Key></Object></Delete>")}, 403},
		{"a bucket deleted by a reader", reader, s3test.Call{Method: "DELETE", Path: "/" + other}, 403},
		{"no bucket granted", nothing, s3test.Call{Method: "GET", Path: "/" + granted + "/k"}, 403},
		{"a wrong secret", lab.ProxyAs(proxy, "reader", "limited-secret"), s3test.Call{Method: "GET", Path: "/" + other + "/k"}, 403},
	} {
		if a := c.call.Do(t, c.at); a.Status != c.status {
			t.Errorf("%s: %v, want %d", c.what, a, c.status)
		}
	}
	s3test.MustGet(t, proxy.S3(), other, "k", body)
	if got := bucketNames(t, limited, s3.ListBucketsInput{}); !slices.Equal(got, []string{granted}) {
		t.Errorf("the limited key sees %v", got)
	}
	if got := bucketNames(t, nothing, s3.ListBucketsInput{}); len(got) != 0 {
		t.Errorf("the key for nothing sees %v", got)
	}
	if got := bucketNames(t, reader, s3.ListBucketsInput{}); !slices.Contains(got, granted) || !slices.Contains(got, other) {
		t.Errorf("the reader sees %v", got)
	}
	if strings.Contains(proxy.Log(), "-secret") {
		t.Error("a secret is in the log")
	}
}

func TestCredentialsAreReadAgainAtAHangup(t *testing.T) {
	t.Parallel()
	const one, two = "- {access-key-id: one, secret-access-key: hidden-1}\n", "- {access-key-id: two, secret-access-key: hidden-2, read-only: true}\n"
	asFile := func(list string) string { return list }
	inConfig := func(list string) string { return "credentials:\n" + list }
	for flag, text := range map[string]func(string) string{"--credentials": asFile, "--config": inConfig} {
		t.Run(flag, func(t *testing.T) {
			file := lab.PrivateFile(t, text(one))
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{flag, file}})
			bucket := lab.FreeName("reloaded")
			s3test.MakeBucket(t, proxy.S3(), bucket)
			s3test.RoundTrip(t, lab.ProxyAs(proxy, "one", "hidden-1"), bucket, 1000)
			status := func(id, secret string) int {
				return s3test.Call{Method: "GET", Path: "/" + bucket + "/k"}.Do(t, lab.ProxyAs(proxy, id, secret)).Status
			}
			if got := status("two", "hidden-2"); got != 403 {
				t.Fatalf("a key that is not configured yet: %d", got)
			}
			reload := func(content, logged string) {
				t.Helper()
				before := strings.Count(proxy.Log(), logged)
				if content != "" {
					if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := syscall.Kill(proxy.PID(), syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
				for end := time.Now().Add(lab.AnswerWithin); strings.Count(proxy.Log(), logged) == before; time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("no %q in the log:\n%s", logged, proxy.Log())
					}
				}
			}
			check := func(what string, first, second int) {
				t.Helper()
				if got := status("one", "hidden-1"); got != first {
					t.Errorf("%s: the first key gets %d, want %d", what, got, first)
				}
				if got := status("two", "hidden-2"); got != second {
					t.Errorf("%s: the second key gets %d, want %d", what, got, second)
				}
				if got := status(lab.ClientAccessKey, lab.ClientSecretKey); got != 200 {
					t.Errorf("%s: the environment's key gets %d", what, got)
				}
			}
			reload(text(one+two), "were reloaded")
			check("both", 200, 200)
			for _, broken := range []string{
				text(one) + "  broken: [", text("- {access-key-id: one}\n"), text(one + one), "# nothing\n",
				text("- {access-key-id: " + lab.ClientAccessKey + ", secret-access-key: hidden-3}\n"),
				text(one + "- {access-key-id: x, secret-access-key: y, read_only: true}\n"),
				text("- {access-key-id: x, secret-access-key: hidden-3, buckets: ['*']}\n"),
			} {
				reload(broken, "not reloaded")
				check("after a broken file", 200, 200)
			}
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
			reload(text(two), "not reloaded") // because others may read the file
			check("after an open file", 200, 200)
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			reload("", "were reloaded")
			check("the first removed", 403, 200)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			reload("", "not reloaded")
			check("the file gone", 403, 200)
			reload(strings.TrimSuffix(text(""), "\n")+" []\n", "were reloaded")
			check("an empty list", 403, 403)
			if strings.Contains(proxy.Log(), "hidden-") {
				t.Error("a secret is in the log")
			}
		})
	}
}

func TestCredentialsInAFileMakeNoFurtherKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := lab.PrivateFile(t, "- {access-key-id: one, secret-access-key: hidden-1}\n")
	proxy := lab.Proxy(t, lab.ProxyOptions{DataDir: dir, NoKeys: true, Args: []string{"--credentials", file}})
	at := lab.ProxyAs(proxy, "one", "hidden-1")
	s3test.RoundTrip(t, at, s3test.NewBucket(t, at), 1000)
	if _, err := os.Stat(dir + "/credentials"); err == nil {
		t.Error("a key was made in the data folder")
	}
}

// Otherwise its user would learn of it only from a refusal.
func TestTheStartSaysThatTheDataFoldersClientIsUsedNoLonger(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	const words = "the client of the data folder is not used"
	dir := t.TempDir()
	first := lab.Proxy(t, lab.ProxyOptions{DataDir: dir, NoKeys: true})
	first.Term()
	first.Wait(lab.AnswerWithin)
	if strings.Contains(first.Log(), words) {
		t.Error("the start says so although that client is used")
	}
	second := lab.Proxy(t, lab.ProxyOptions{DataDir: dir, NoKeys: true, Args: []string{"--credentials", lab.PrivateFile(t, "- {access-key-id: one, secret-access-key: hidden-1}\n")}})
	if !strings.Contains(second.Log(), words) {
		t.Errorf("no word of it:\n%s", second.Log())
	}
}

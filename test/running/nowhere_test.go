package running

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// serveNowhere runs a proxy with every location given, so that it needs no folder of its own.
func serveNowhere(t *testing.T, bin string, env []string, before ...string) {
	t.Helper()
	store, folder, address := lab.SharedVersitygw(t), mounted(t, podGroup, 0o440), lab.FreeAddress(t)
	command := append(before, bin, "serve", "--listen", address, "--admin-listen", "", "--upstream", store.URL,
		"--kms", "localfile://"+folder+"/keyset.json", "--credentials", folder+"/clients.yaml")
	env = append([]string{"AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + store.SecretKey, "AWS_EC2_METADATA_DISABLED=true", "PATH=" + os.Getenv("PATH")}, env...)
	var p *lab.Process
	if before == nil {
		p = lab.StartAs(t, pod, "s3proxy", command[0], command[1:], env)
	} else {
		p = lab.Start(t, "s3proxy", command[0], command[1:], env)
	}
	p.AwaitListening(t, address)
	at := lab.S3{URL: "http://" + address, AccessKey: "backup", SecretKey: lab.ClientSecretKey}
	bucket := s3test.NewBucket(t, at)
	for _, n := range []int{1000, 3_000_000} {
		s3test.RoundTrip(t, at, bucket, n)
	}
}

func TestNoFolderIsNeededWhereEverythingHasAPlace(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	bin, closed := lab.PublicS3proxy(t), lab.PublicFolder(t)
	for name, env := range map[string][]string{
		"no HOME": nil, "an empty HOME": {"HOME="}, "HOME is /": {"HOME=/"}, "a HOME that is not there": {"HOME=/nonexistent"},
		"a HOME that cannot be written to": {"HOME=" + closed}, "no folder for temporary files": {"TMPDIR=/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); serveNowhere(t, bin, env) })
	}
	// A mount in the new namespace is visible only there, and ends with it.
	t.Run("a root file system that is read-only", func(t *testing.T) {
		t.Parallel()
		lab.NeedRoot(t)
		serveNowhere(t, bin, []string{"HOME=/"}, lab.Need(t, "unshare"), "--mount", "sh", "-c", `mount -o remount,bind,ro / && if touch /tmp/x 2>/dev/null; then exit 3; fi && exec setpriv --reuid 65532 --regid 65532 --groups 65533 "$@"`, "sh")
	})
}

func TestOneLineNamesTheFolderThatIsMissing(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	bin, store := lab.S3proxy(t), lab.SharedVersitygw(t)
	uri, _ := lab.NewKeyset(t)
	for name, args := range map[string][]string{
		"the embedded store":    {"serve", "--kms", uri},
		"the clients' key":      {"serve", "--upstream", store.URL, "--kms", uri},
		"a keyset":              {"keys", "list"},
		"the embedded, offline": {"gc", "s3://bucket", "--kms", uri},
	} {
		env := []string{"PATH=" + os.Getenv("PATH")}
		if name == "the embedded store" {
			env = append(env, "S3PROXY_ACCESS_KEY_ID=a", "S3PROXY_SECRET_ACCESS_KEY=b")
		}
		p := lab.Start(t, "s3proxy", bin, args, env)
		if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 2 || p.Log() != "s3proxy: set data-dir: the user has no data folder: $HOME is not defined\n" {
			t.Errorf("%s: exit code %d (ended: %v)\n%s", name, code, ok, p.Log())
		}
	}
	if _, err := os.Stat(filepath.Join("/", ".local")); err == nil {
		t.Error("a folder was made in /")
	}
}

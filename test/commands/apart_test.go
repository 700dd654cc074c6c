package commands

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// onStore is a keyed bucket in a store.
func onStore(t *testing.T, store *lab.Store) *keyed {
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	k := &keyed{t: t, store: store, kms: "localfile://" + filepath.Join(t.TempDir(), "keyset.json")}
	k.command(0, "keys", "create")
	k.bucket = s3test.NewBucket(t, store.S3())
	return k
}

// apart is command, but returns the two output streams separately, and the exit code.
func (k *keyed) apart(args ...string) (out, errs string, code int) {
	k.t.Helper()
	cmd := exec.Command(lab.S3proxy(k.t), append(args, "--kms", k.kms, "--upstream", k.store.URL)...)
	cmd.Env = k.store.S3().Env("HOME=" + k.t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		k.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

package lab

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// MustRun is Run for a program that must not fail.
func MustRun(t testing.TB, env []string, program string, args ...string) string {
	t.Helper()
	out, err := Run(t, env, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Run runs a foreign client and returns what it printed on stdout.
func Run(t testing.TB, env []string, program string, args ...string) (string, error) {
	t.Helper()
	out, _, err := runApart(t, env, "", program, args...)
	return out, err
}

// RunBoth is Run, but returns stdout followed by stderr.
func RunBoth(t testing.TB, env []string, program string, args ...string) (string, error) {
	t.Helper()
	return RunOn(t, env, "", program, args...)
}

// RunOn is RunBoth for a program that reads stdin.
func RunOn(t testing.TB, env []string, stdin, program string, args ...string) (string, error) {
	t.Helper()
	out, errs, err := runApart(t, env, stdin, program, args...)
	return out + errs, err
}

func runApart(t testing.TB, env []string, stdin, program string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), errs.String(), err
}

// Command runs the binary with the settings of a proxy in front of store.
func Command(t *testing.T, store *Store, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(S3proxy(t), args...)
	cmd.Env = Env("HOME="+t.TempDir(), "AWS_ACCESS_KEY_ID="+store.AccessKey, "AWS_SECRET_ACCESS_KEY="+store.SecretKey)
	raw, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok {
		return string(raw), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), 0
}

// RunKeys runs a keys command with the settings of a proxy.
func RunKeys(t *testing.T, o ProxyOptions, args ...string) (string, int) {
	t.Helper()
	p := Start(t, "keys", S3proxy(t), append(append(append([]string{"keys"}, args...), "--upstream", o.Upstream.URL), o.Args[:2]...), o.Upstream.S3().Env(o.Env...))
	code, ended := p.Wait(2 * time.Minute)
	if !ended {
		t.Fatalf("keys %v did not end", args)
	}
	return p.Log(), code
}

// RunS3proxy runs a command of the binary.
func RunS3proxy(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(S3proxy(t), args...)
	cmd.Env = Env("HOME=" + t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// JSONLine returns the line of a command's output that is not part of its log.
func JSONLine(out string) string {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "{") {
			return line
		}
	}
	return out
}

// Generations are the generations of foreign clients that tests run with.
var Generations = []string{Newest, Older}

package soak

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// program is a client that people run. A round fails if the store is down for longer than the
// program retries, and is then repeated. Whatever a round reported as done must be there.
type program struct {
	name  string
	round func(ctx context.Context, n int) error // an error means that the round failed
}

func (r *run) programs(t *testing.T) []program {
	tree := t.TempDir()
	for i, size := range []int{0, 1000, 300_000, 9_000_000} {
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprint(i)), s3test.Content(uint64(i), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []program{r.awsCLI(t, tree), r.rclone(t, tree), r.restic(t)}
}

func (r *run) command(ctx context.Context, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, tail(out))
	}
	return nil
}

func tail(out []byte) []byte { return out[max(0, len(out)-500):] }

func (r *run) awsCLI(t *testing.T, tree string) program {
	aws, down := lab.NeedAWS(t, lab.Newest), t.TempDir()
	env := r.cluster.Env()
	return program{"aws-cli", func(ctx context.Context, n int) error {
		remote := fmt.Sprintf("s3://%s/aws-%d", r.bucket, n%3)
		if err := r.command(ctx, env, aws, "--endpoint-url", r.cluster.URL, "s3", "cp", "--recursive", tree, remote); err != nil {
			return err
		}
		if err := r.command(ctx, env, aws, "--endpoint-url", r.cluster.URL, "s3", "cp", "--recursive", remote, down); err != nil {
			return err
		}
		return r.same("aws-cli", tree, down)
	}}
}

func (r *run) rclone(t *testing.T, tree string) program {
	rclone := lab.Need(t, "rclone")
	env := r.cluster.Env("RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other", "RCLONE_CONFIG_X_ENV_AUTH=true",
		"RCLONE_CONFIG_X_ENDPOINT="+r.cluster.URL, "RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true", "RCLONE_CONFIG_X_NO_CHECK_BUCKET=true")
	return program{"rclone", func(ctx context.Context, n int) error {
		remote := fmt.Sprintf("x:%s/rclone-%d", r.bucket, n%3)
		if err := r.command(ctx, env, rclone, "copy", "--ignore-times", tree, remote); err != nil {
			return err
		}
		down := t.TempDir()
		if err := r.command(ctx, env, rclone, "copy", remote, down); err != nil {
			return err
		}
		return r.same("rclone", tree, down)
	}}
}

// same compares a tree with what a program has fetched.
func (r *run) same(name, tree, down string) error {
	files, err := os.ReadDir(tree)
	if err != nil {
		return err
	}
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(tree, f.Name()))
		if err != nil {
			return err
		}
		if got, err := os.ReadFile(filepath.Join(down, f.Name())); err != nil || !bytes.Equal(got, want) {
			r.wrong("%s: the file %s has %d bytes of %d, or others: %v", name, f.Name(), len(got), len(want), err)
		}
	}
	return nil
}

// restic's own check reads everything that it has stored.
func (r *run) restic(t *testing.T) program {
	restic, changing := lab.Need(t, "restic"), t.TempDir()
	env := r.cluster.Env("RESTIC_PASSWORD=x", "RESTIC_REPOSITORY=s3:"+r.cluster.URL+"/"+r.bucket+"/restic", "RESTIC_CACHE_DIR="+t.TempDir())
	r.atEnd = func(ctx context.Context) error {
		if err := r.command(ctx, env, restic, "unlock"); err != nil {
			return err
		}
		return r.command(ctx, env, restic, "check", "--read-data")
	}
	begun := false
	return program{"restic", func(ctx context.Context, n int) error {
		if !begun {
			if err := r.command(ctx, env, restic, "init"); err != nil {
				return err
			}
			begun = true
		}
		if err := os.WriteFile(filepath.Join(changing, "file"), s3test.Content(uint64(n), 2_000_000), 0o600); err != nil {
			return err
		}
		_ = r.command(ctx, env, restic, "unlock") // a lock left by an interrupted round
		return r.command(ctx, env, restic, "backup", changing)
	}}
}

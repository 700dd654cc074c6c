package clients

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestBoto3Works(t *testing.T) {
	for _, generation := range lab.Generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			lab.OnEach(t, func(t *testing.T, at lab.Target) {
				python := lab.NeedBoto3(t, generation)
				bucket := s3test.NewBucket(t, at.S3)
				lab.MustRun(t, at.Env(), python, "boto3_client.py", at.URL, bucket, fmt.Sprint(s3test.LargeSize))
			})
		})
	}
}

// files writes one file for each size into a new folder.
func files(t testing.TB, sizes ...int) string {
	t.Helper()
	dir := t.TempDir()
	for _, size := range sizes {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(size)), s3test.Content(uint64(size), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sameFiles compares a folder with what files wrote.
func sameFiles(t testing.TB, dir string, sizes ...int) {
	t.Helper()
	for _, size := range sizes {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(size)))
		if err == nil {
			err = s3test.SameBytes(got, s3test.Content(uint64(size), size))
		}
		if err != nil {
			t.Errorf("the file of %d bytes: %v", size, err)
		}
	}
}

func TestAWSCLIWorks(t *testing.T) {
	for _, generation := range lab.Generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			// It is another client, for which no store is another; the embedded store is a versitygw.
			targets := map[string][]string{lab.Newest: {lab.OnEmbedded, lab.OnMinIO}, lab.Older: {lab.OnVersitygw}}[generation]
			if lab.Long {
				targets = lab.AllTargets
			}
			lab.OnThese(t, targets, func(t *testing.T, at lab.Target) { testAWSCLI(t, at, lab.NeedAWS(t, generation)) })
		})
	}
}

func testAWSCLI(t *testing.T, at lab.Target, program string) {
	env := at.Env()
	aws := func(args ...string) string {
		t.Helper()
		return lab.MustRun(t, env, program, append([]string{"--endpoint-url", at.URL, "--output", "text"}, args...)...)
	}
	bucket := lab.FreeName("aws")
	aws("s3", "mb", "s3://"+bucket)
	up, down := files(t, sizes...), t.TempDir()
	// All are below the 8 MB from where `aws s3` sends parts.
	aws("s3", "cp", "--recursive", "--metadata", "colour=blue,shape=round", up, "s3://"+bucket+"/dir/")
	aws("s3", "cp", "--recursive", "s3://"+bucket+"/dir/", down)
	sameFiles(t, down, sizes...)

	large := filepath.Join(files(t, s3test.LargeSize), fmt.Sprint(s3test.LargeSize))
	aws("s3api", "put-object", "--bucket", bucket, "--key", "large", "--body", large, "--metadata", "colour=blue")
	aws("s3api", "get-object", "--bucket", bucket, "--key", "large", filepath.Join(down, fmt.Sprint(s3test.LargeSize)))
	sameFiles(t, down, s3test.LargeSize)
	os.Remove(large)

	head := strings.Fields(aws("s3api", "head-object", "--bucket", bucket, "--key", "dir/65537", "--query", "[ContentLength,Metadata.colour,Metadata.shape]"))
	if !slices.Equal(head, []string{"65537", "blue", "round"}) {
		t.Errorf("head-object gives %q", head)
	}
	body := s3test.Content(1_000_003, 1_000_003)
	for spec, want := range map[string][]byte{
		"bytes=0-9": body[:10], "bytes=65530-131080": body[65530:131081], "bytes=-100": body[len(body)-100:], "bytes=1000000-2000000": body[1_000_000:],
	} {
		out := filepath.Join(down, "range")
		aws("s3api", "get-object", "--bucket", bucket, "--key", "dir/1000003", "--range", spec, out)
		got, err := os.ReadFile(out)
		if err == nil {
			err = s3test.SameBytes(got, want)
		}
		if err != nil {
			t.Errorf("range %s: %v", spec, err)
		}
	}
	if _, err := lab.Run(t, env, program, "--endpoint-url", at.URL, "s3api", "get-object", "--bucket", bucket, "--key", "dir/1000003", "--range", "bytes=1000003-", filepath.Join(down, "none")); err == nil || !strings.Contains(err.Error(), "InvalidRange") {
		t.Errorf("a range past the end: %v", err)
	}

	want := map[string]string{"large": fmt.Sprint(s3test.LargeSize)}
	for _, size := range sizes {
		want[fmt.Sprintf("dir/%d", size)] = fmt.Sprint(size)
	}
	for _, list := range []string{"list-objects", "list-objects-v2"} {
		got := map[string]string{}
		for line := range strings.Lines(aws("s3api", list, "--bucket", bucket, "--page-size", "2", "--query", "Contents[].[Key,Size]")) {
			if f := strings.Fields(line); len(f) == 2 {
				got[f[0]] = f[1]
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", list, got, want)
		}
	}
	if got := aws("s3", "ls", "s3://"+bucket); !strings.Contains(got, "PRE dir/") || !strings.Contains(got, "large") {
		t.Errorf("aws s3 ls gives %q", got)
	}
	if got := aws("s3", "sync", "--size-only", up, "s3://"+bucket+"/dir/"); got != "" {
		t.Errorf("a second sync copies: %q", got)
	}

	aws("s3api", "delete-object", "--bucket", bucket, "--key", "large")
	aws("s3api", "delete-objects", "--bucket", bucket, "--delete", "Objects=[{Key=dir/0},{Key=dir/1}]")
	aws("s3", "rm", "--recursive", "s3://"+bucket)
	if got := aws("s3", "ls", "--recursive", "s3://"+bucket); got != "" {
		t.Errorf("after all is deleted there is %q", got)
	}
	aws("s3", "rb", "s3://"+bucket)
}

func TestRcloneWorks(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		program := lab.Need(t, "rclone")
		env := at.Env("RCLONE_CONFIG="+os.DevNull,
			"RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other", "RCLONE_CONFIG_X_ENV_AUTH=true",
			"RCLONE_CONFIG_X_ENDPOINT="+at.URL, "RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true",
			"RCLONE_CONFIG_X_UPLOAD_CUTOFF=5G", "RCLONE_RETRIES=1")
		rclone := func(args ...string) string {
			t.Helper()
			return lab.MustRun(t, env, program, args...)
		}
		bucket := lab.FreeName("rclone")
		all := append(slices.Clone(sizes), s3test.LargeSize)
		up, down := files(t, all...), t.TempDir()
		rclone("mkdir", "x:"+bucket)
		rclone("copy", up, "x:"+bucket+"/dir")
		rclone("check", "--download", up, "x:"+bucket+"/dir")
		rclone("check", up, "x:"+bucket+"/dir")
		rclone("copy", "x:"+bucket+"/dir", down)
		sameFiles(t, down, all...)
		if got := rclone("cat", "--offset", "65530", "--count", "20", "x:"+bucket+"/dir/1000003"); got != string(s3test.Content(1_000_003, 65550)[65530:]) {
			t.Errorf("cat of a range gives %d bytes, or others", len(got))
		}
		sizesOf := map[string]string{}
		for line := range strings.Lines(rclone("lsf", "--format", "ps", "-R", "--files-only", "x:"+bucket)) {
			name, size, _ := strings.Cut(strings.TrimSpace(line), ";")
			sizesOf[name] = size
		}
		for _, size := range all {
			if sizesOf[fmt.Sprintf("dir/%d", size)] != fmt.Sprint(size) {
				t.Errorf("lsf gives %v", sizesOf)
			}
		}
		// The times of files travel as user metadata; a second copy finds nothing to do.
		if _, err := lab.Run(t, env, program, "copy", "--immutable", up, "x:"+bucket+"/dir"); err != nil {
			t.Errorf("a second copy: %v", err)
		}
		rclone("deletefile", "x:"+bucket+"/dir/1")
		rclone("purge", "x:"+bucket+"/dir")
		if got := rclone("lsf", "-R", "--files-only", "x:"+bucket); got != "" {
			t.Errorf("after all is deleted there is %q", got)
		}
	})
}

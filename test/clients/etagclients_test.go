package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// Programs that take an ETag of 32 hex digits for the MD5 of what they sent.

func TestRcloneComparesMD5sInModeMD5(t *testing.T) {
	lab.OnThese(t, lab.AllTargets, func(t *testing.T, at lab.Target) {
		at = lab.OpenMode(t, at.Name, lab.ModeMD5)
		program := lab.Need(t, "rclone")
		env := at.Env("RCLONE_CONFIG="+os.DevNull,
			"RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other", "RCLONE_CONFIG_X_ENV_AUTH=true",
			"RCLONE_CONFIG_X_ENDPOINT="+at.URL, "RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true", "RCLONE_RETRIES=1")
		bucket := lab.FreeName("rclone-md5")
		up, down := files(t, sizes...), t.TempDir()
		lab.MustRun(t, env, program, "mkdir", "x:"+bucket)
		lab.MustRun(t, env, program, "copy", up, "x:"+bucket)
		// Not --size-only: with a hash that it can compare, check says how many it has compared.
		out, err := lab.RunBoth(t, env, program, "check", "-v", up, "x:"+bucket)
		if err != nil || !strings.Contains(out, "Using md5 for hash comparisons") || strings.Contains(out, "hashes could not be checked") {
			t.Errorf("check: %v\n%s", err, out)
		}
		lab.MustRun(t, env, program, "copy", "x:"+bucket, down)
		sameFiles(t, down, sizes...)
		sums := lab.MustRun(t, env, program, "md5sum", "x:"+bucket)
		for _, size := range sizes {
			if want := strings.Trim(s3test.MD5ETag(s3test.Content(uint64(size), size)), `"`) + "  " + fmt.Sprint(size) + "\n"; !strings.Contains(sums, want) {
				t.Errorf("md5sum does not give %q:\n%s", want, sums)
			}
		}
	})
}

func TestS3cmdChecksMD5sInModeMD5(t *testing.T) {
	lab.OnThese(t, lab.AllTargets, func(t *testing.T, at lab.Target) {
		at = lab.OpenMode(t, at.Name, lab.ModeMD5)
		program := lab.Need(t, "s3cmd")
		config := filepath.Join(t.TempDir(), "s3cfg")
		host := strings.TrimPrefix(at.URL, "http://")
		settings := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\nsignature_v2 = False\ncheck_ssl_certificate = False\n", at.AccessKey, at.SecretKey, host, host)
		if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		s3cmd := func(args ...string) string {
			t.Helper()
			out, err := lab.RunBoth(t, at.Env(), program, append([]string{"-c", config, "--no-progress", "--disable-multipart"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		bucket := s3test.NewBucket(t, at.S3)
		up, down := files(t, sizes...), t.TempDir()
		for _, size := range sizes {
			name := fmt.Sprint(size)
			if out := s3cmd("put", filepath.Join(up, name), "s3://"+bucket+"/"+name); strings.Contains(out, "WARNING") {
				t.Errorf("put %s: %s", name, out)
			}
			if out := s3cmd("get", "s3://"+bucket+"/"+name, filepath.Join(down, name)); strings.Contains(out, "WARNING") {
				t.Errorf("get %s: %s", name, out)
			}
		}
		sameFiles(t, down, sizes...)
		list := s3cmd("ls", "--list-md5", "s3://"+bucket)
		for _, size := range sizes {
			if sum := strings.Trim(s3test.MD5ETag(s3test.Content(uint64(size), size)), `"`); !strings.Contains(list, sum) {
				t.Errorf("ls --list-md5 does not have %s of %d bytes:\n%s", sum, size, list)
			}
		}
		// It compares size and MD5 with the local file.
		if out := s3cmd("sync", up+"/", "s3://"+bucket+"/"); strings.Contains(out, "upload:") {
			t.Errorf("a sync of the same files sends: %s", out)
		}
	})
}

// libcloud compares the ETag of each upload with the MD5 unless the answer says that
// the store encrypts with KMS; so do the Java and PHP SDKs.
func TestLibcloudAndTheJavaAndPHPSDKsCompareETagsWithMD5s(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		python := lab.NeedBoto3(t, lab.Newest)
		lab.MustRun(t, at.Env(), python, "compare_etag.py", at.URL, s3test.NewBucket(t, at.S3), mode)
	})
}

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

func TestForeignClientsEncryptAtTheServer(t *testing.T) {
	const small, inParts = 70_000, 9_000_000
	clients := map[string]func(t *testing.T, at lab.Target, bucket, dir string){
		"aws": func(t *testing.T, at lab.Target, bucket, dir string) {
			program := lab.NeedAWS(t, lab.Newest)
			aws := func(args ...string) {
				t.Helper()
				lab.MustRun(t, at.Env(), program, append([]string{"--endpoint-url", at.URL}, args...)...)
			}
			for i, flags := range [][]string{{"--sse", "AES256"}, {"--sse", "aws:kms"}, {"--sse", "aws:kms", "--sse-kms-key-id", s3test.SomeKey}} {
				prefix := fmt.Sprintf("s3://%s/%d/", bucket, i)
				aws(append([]string{"s3", "cp", "--recursive", dir, prefix}, flags...)...)
				aws(append([]string{"s3", "cp", "--recursive", prefix, fmt.Sprintf("s3://%s/copied/%d/", bucket, i)}, flags...)...)
				down := t.TempDir()
				aws("s3", "cp", "--recursive", fmt.Sprintf("s3://%s/copied/%d/", bucket, i), down)
				sameFiles(t, down, small, inParts)
			}
		},
		"boto3": func(t *testing.T, at lab.Target, bucket, dir string) {
			lab.MustRun(t, at.Env(), lab.NeedBoto3(t, lab.Newest), "boto3_sse.py", at.URL, bucket, dir)
		},
		"s3cmd": func(t *testing.T, at lab.Target, bucket, dir string) {
			program := lab.Need(t, "s3cmd")
			config := filepath.Join(t.TempDir(), "s3cfg")
			if err := os.WriteFile(config, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			host := strings.TrimPrefix(at.URL, "http://")
			s3cmd := func(args ...string) {
				t.Helper()
				lab.MustRun(t, at.Env(), program, append([]string{"--config", config, "--access_key", at.AccessKey, "--secret_key", at.SecretKey, "--host", host, "--host-bucket", host, "--no-ssl", "--region", "us-east-1", "--multipart-chunk-size-mb", "5"}, args...)...)
			}
			for i, flags := range [][]string{{"--server-side-encryption"}, {"--server-side-encryption", "--server-side-encryption-kms-id", s3test.SomeKey}} {
				for _, size := range []int{small, inParts} {
					to := fmt.Sprintf("s3://%s/%d/%d", bucket, i, size)
					s3cmd(append([]string{"put", filepath.Join(dir, fmt.Sprint(size)), to}, flags...)...)
					// It sends back what HEAD has told.
					s3cmd("modify", "--add-header", "x-amz-meta-colour:blue", to)
					down := t.TempDir()
					s3cmd("get", to, filepath.Join(down, fmt.Sprint(size)))
					sameFiles(t, down, size)
				}
			}
		},
		"rclone": func(t *testing.T, at lab.Target, bucket, dir string) {
			program := lab.Need(t, "rclone")
			for i, sse := range []string{"AES256", "aws:kms"} {
				env := at.Env("RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other", "RCLONE_CONFIG_X_ENV_AUTH=true", "RCLONE_CONFIG_X_ENDPOINT="+at.URL,
					"RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true", "RCLONE_CONFIG_X_UPLOAD_CUTOFF=6M", "RCLONE_RETRIES=1", "RCLONE_CONFIG_X_SERVER_SIDE_ENCRYPTION="+sse)
				if sse == "aws:kms" {
					env = append(env, "RCLONE_CONFIG_X_SSE_KMS_KEY_ID="+s3test.SomeKey)
				}
				to := fmt.Sprintf("x:%s/%d", bucket, i)
				lab.MustRun(t, env, program, "copy", dir, to)
				lab.MustRun(t, env, program, "check", "--download", dir, to)
				lab.MustRun(t, env, program, "copy", to, to+"-copied")
				lab.MustRun(t, env, program, "check", "--download", dir, to+"-copied")
			}
		},
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab.OnEachMode(t, func(t *testing.T, at lab.Target, _ string) {
				client(t, at, s3test.NewBucket(t, at.S3), files(t, small, inParts))
			})
		})
	}
}

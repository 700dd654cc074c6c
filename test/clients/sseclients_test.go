package clients

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/sse"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The sizes of the files that clients send: in one request, and in parts.
const sseSmall, sseInParts = 70_000, 9_000_000

// sseRow is a row of the table in docs/S3.md: how a client asks for encryption at the server, and
// what comes of it at a store itself and, always, through the proxy: it works.
type sseRow struct {
	client, asks string
	// at are the stores at which it works without the proxy: MinIO without a KMS, versitygw.
	minio, versitygw bool
	run              func(t *testing.T, at lab.S3, env []string, bucket, dir string) error
	mode             string // "": either
}

func sseRows() []sseRow {
	return []sseRow{
		{"aws-cli", "`aws s3 cp --sse AES256`", false, true, awsCopies("--sse", "AES256"), ""},
		{"aws-cli", "`aws s3 cp --sse aws:kms`", false, true, awsCopies("--sse", "aws:kms"), ""},
		{"aws-cli", "`aws s3 cp --sse aws:kms --sse-kms-key-id`", false, true, awsCopies("--sse", "aws:kms", "--sse-kms-key-id", s3test.SomeKey), ""},
		{"aws-cli", "`aws s3api put-, get- and delete-bucket-encryption`", false, false, awsDefault, ""},
		{"boto3", "uploads, copies and a bucket's default: AES256, aws:kms, a key", false, false, func(t *testing.T, at lab.S3, env []string, bucket, dir string) error {
			_, err := lab.Run(t, env, lab.NeedBoto3(t, lab.Newest), "boto3_sse.py", at.URL, bucket, dir)
			return err
		}, ""},
		{"s3cmd", "`--server-side-encryption`: put, cp, mv, modify", false, true, s3cmdEncrypts("--server-side-encryption"), ""},
		{"s3cmd", "`--server-side-encryption-kms-id`: the same", false, true, s3cmdEncrypts("--server-side-encryption", "--server-side-encryption-kms-id", s3test.SomeKey), ""},
		{"rclone", "`server_side_encryption = AES256`", false, true, rcloneEncrypts("Other", "RCLONE_CONFIG_X_SERVER_SIDE_ENCRYPTION=AES256"), ""},
		{"rclone", "`server_side_encryption = AES256`, provider Minio, `--etag md5`", false, true, rcloneEncrypts("Minio", "RCLONE_CONFIG_X_SERVER_SIDE_ENCRYPTION=AES256"), lab.ModeMD5},
		{"rclone", "`server_side_encryption = aws:kms`", false, true, rcloneEncrypts("Other", "RCLONE_CONFIG_X_SERVER_SIDE_ENCRYPTION=aws:kms"), ""},
		{"rclone", "`server_side_encryption = aws:kms`, `sse_kms_key_id`", false, true, rcloneEncrypts("Other", "RCLONE_CONFIG_X_SERVER_SIDE_ENCRYPTION=aws:kms", "RCLONE_CONFIG_X_SSE_KMS_KEY_ID="+s3test.SomeKey), ""},
		{"minio-go", "what `mc cp --enc-s3`, `mc cp --enc-kms` and `mc encrypt set` send", false, false, minioGoEncrypts, ""},
		{"Terraform", "the S3 backend's `encrypt = true`, `use_lockfile`, as it sends it", false, true, terraformEncrypts(""), ""},
		{"Terraform", "the same with `kms_key_id`", false, true, terraformEncrypts(s3test.SomeKey), ""},
	}
}

func TestForeignClientsEncryptAtTheServer(t *testing.T) {
	if lab.Direct {
		t.Skip("it asks the stores themselves, too")
	}
	page, err := os.ReadFile("../../docs/S3.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[bool]string{true: "works", false: "fails"}
	for _, row := range sseRows() {
		if line := fmt.Sprintf("| %s | %s | %s | %s | works |\n", row.client, row.asks, words[row.minio], words[row.versitygw]); !strings.Contains(string(page), line) {
			t.Errorf("docs/S3.md has no row %s", line)
		}
		t.Run(row.client+" "+strings.NewReplacer("`", "", "/", " ").Replace(row.asks), func(t *testing.T) {
			t.Parallel()
			for name, mode := range map[string]string{lab.OnMinIO: lab.ModeMD5, lab.OnVersitygw: lab.ModeOpaque} {
				if row.mode != "" {
					mode = row.mode
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					at := lab.OpenMode(t, name, mode)
					if err := row.run(t, at.S3, at.Env(), s3test.NewBucket(t, at.S3), files(t, sseSmall, sseInParts)); err != nil {
						t.Error(err)
					}
				})
			}
			for _, name := range lab.RealStores {
				if name == lab.OnVersitygw && !lab.Long { // of clients that work there, it tells nothing of the proxy
					continue
				}
				t.Run(name+" itself", func(t *testing.T) {
					t.Parallel()
					lab.TakesLong(t)
					at := lab.SharedStore(t, name).S3()
					env := lab.Target{S3: at}.Env()
					err := row.run(t, at, env, s3test.NewBucket(t, at), files(t, sseSmall, sseInParts))
					if works := map[string]bool{lab.OnMinIO: row.minio, lab.OnVersitygw: row.versitygw}[name]; (err == nil) != works {
						t.Errorf("the table says that it %s: %v", words[works], err)
					}
				})
			}
		})
	}
}

// commands runs programs until one fails.
type commands struct {
	t       *testing.T
	env     []string
	program string
	common  []string
	err     error
}

func (c *commands) run(args ...string) (out string) {
	if c.err == nil {
		out, c.err = lab.Run(c.t, c.env, c.program, append(c.common, args...)...)
	}
	return out
}

func awsCopies(flags ...string) func(*testing.T, lab.S3, []string, string, string) error {
	return func(t *testing.T, at lab.S3, env []string, bucket, dir string) error {
		c, down := &commands{t: t, env: env, program: lab.NeedAWS(t, lab.Newest), common: []string{"--endpoint-url", at.URL}}, t.TempDir()
		c.run(append([]string{"s3", "cp", "--recursive", dir, "s3://" + bucket + "/"}, flags...)...)
		c.run(append([]string{"s3", "cp", "--recursive", "s3://" + bucket + "/", "s3://" + bucket + "/copied/"}, flags...)...)
		c.run("s3", "cp", "--recursive", "s3://"+bucket+"/copied/", down)
		if c.err == nil {
			sameFiles(t, down, sseSmall, sseInParts)
		}
		return c.err
	}
}

func awsDefault(t *testing.T, at lab.S3, env []string, bucket, _ string) error {
	c := &commands{t: t, env: env, program: lab.NeedAWS(t, lab.Newest), common: []string{"--endpoint-url", at.URL, "s3api"}}
	c.run("put-bucket-encryption", "--bucket", bucket, "--server-side-encryption-configuration", `{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"`+s3test.SomeKey+`"}}]}`)
	if out := c.run("get-bucket-encryption", "--bucket", bucket); c.err == nil && !strings.Contains(out, s3test.SomeKey) {
		return fmt.Errorf("the default is %s", out)
	}
	c.run("delete-bucket-encryption", "--bucket", bucket)
	return c.err
}

func s3cmdEncrypts(flags ...string) func(*testing.T, lab.S3, []string, string, string) error {
	return func(t *testing.T, at lab.S3, env []string, bucket, dir string) error {
		config, host := filepath.Join(t.TempDir(), "s3cfg"), strings.TrimPrefix(at.URL, "http://")
		if err := os.WriteFile(config, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c := &commands{t: t, env: env, program: lab.Need(t, "s3cmd"), common: []string{"--config", config, "--access_key", at.AccessKey, "--secret_key", at.SecretKey, "--host", host, "--host-bucket", host, "--no-ssl", "--region", "us-east-1", "--multipart-chunk-size-mb", "5"}}
		for _, size := range []int{sseSmall, sseInParts} {
			to, down := fmt.Sprintf("s3://%s/%d", bucket, size), t.TempDir()
			c.run(append([]string{"put", filepath.Join(dir, fmt.Sprint(size)), to}, flags...)...)
			c.run("modify", "--add-header", "x-amz-meta-colour:blue", to) // it sends back what HEAD has told
			c.run(append([]string{"modify", "--add-header", "x-amz-meta-shape:round", to}, flags...)...)
			c.run(append([]string{"cp", to, to + "-copied"}, flags...)...)
			c.run(append([]string{"mv", to + "-copied", to + "-moved"}, flags...)...)
			c.run("get", to+"-moved", filepath.Join(down, fmt.Sprint(size)))
			if c.err == nil {
				sameFiles(t, down, size)
			}
		}
		return c.err
	}
}

func rcloneEncrypts(provider string, settings ...string) func(*testing.T, lab.S3, []string, string, string) error {
	return func(t *testing.T, at lab.S3, env []string, bucket, dir string) error {
		env = append(append(env, "RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER="+provider, "RCLONE_CONFIG_X_ENV_AUTH=true", "RCLONE_CONFIG_X_ENDPOINT="+at.URL,
			"RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true", "RCLONE_CONFIG_X_UPLOAD_CUTOFF=6M", "RCLONE_RETRIES=1"), settings...)
		c, to := &commands{t: t, env: env, program: lab.Need(t, "rclone")}, "x:"+bucket+"/sent"
		c.run("copy", dir, to)
		c.run("check", "--download", dir, to)
		c.run("copy", to, to+"-copied")
		c.run("check", "--download", dir, to+"-copied")
		return c.err
	}
}

// minioGoEncrypts does what mc does for --enc-s3, --enc-kms and `mc encrypt`.
func minioGoEncrypts(t *testing.T, at lab.S3, _ []string, bucket, _ string) error {
	client, err := minio.New(strings.TrimPrefix(at.URL, "http://"), &minio.Options{Creds: credentials.NewStaticV4(at.AccessKey, at.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	byKMS, err := encrypt.NewSSEKMS(s3test.SomeKey, map[string]string{"of": "a test"})
	if err != nil {
		t.Fatal(err)
	}
	body := s3test.Content(17, sseInParts)
	for key, asked := range map[string]encrypt.ServerSide{"s3": encrypt.NewSSE(), "kms": byKMS} {
		if _, err := client.PutObject(t.Context(), bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{ServerSideEncryption: asked, PartSize: 5 << 20}); err != nil {
			return err
		}
		if _, err := client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: key + "-copied", Encryption: asked}, minio.CopySrcOptions{Bucket: bucket, Object: key}); err != nil {
			return err
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/" + key + "-copied"}).Do(t, at); !bytes.Equal(a.Body, body) {
			return errors.New(a.String())
		}
	}
	if err := client.SetBucketEncryption(t.Context(), bucket, sse.NewConfigurationSSES3()); err != nil {
		return err
	}
	if got, err := client.GetBucketEncryption(t.Context(), bucket); err != nil || len(got.Rules) != 1 || got.Rules[0].Apply.SSEAlgorithm != "AES256" {
		return fmt.Errorf("the default is %v, %v", got, err)
	}
	return client.RemoveBucketEncryption(t.Context(), bucket)
}

// terraformEncrypts sends what Terraform 1.11 does with `encrypt = true`: hashicorp/terraform
// internal/backend/remote-state/s3/client.go, HeadObject, GetObject, PutObject with a SHA-256, and the
// lock with If-None-Match.
func terraformEncrypts(kmsKey string) func(*testing.T, lab.S3, []string, string, string) error {
	return func(t *testing.T, at lab.S3, _ []string, bucket, _ string) error {
		client, state, lock := s3test.SDK(t, at), "env/terraform.tfstate", "env/terraform.tfstate.tflock"
		put := func(key string, body []byte, noneMatch *string) error {
			in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/json"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256, IfNoneMatch: noneMatch,
				ServerSideEncryption: types.ServerSideEncryptionAes256}
			if kmsKey != "" {
				in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &kmsKey
			}
			_, err := client.PutObject(t.Context(), in)
			return err
		}
		for serial := range 2 {
			if err := put(lock, []byte(`{"ID":"1"}`), aws.String("*")); err != nil {
				return err
			}
			if err := put(lock, []byte(`{"ID":"2"}`), aws.String("*")); s3test.Code(err) != "PreconditionFailed" {
				return fmt.Errorf("a second lock: %w", err)
			}
			body := fmt.Appendf(nil, `{"serial":%d}`, serial)
			if err := put(state, body, nil); err != nil {
				return err
			}
			head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &state})
			if err != nil || aws.ToInt64(head.ContentLength) != int64(len(body)) {
				return fmt.Errorf("the state: %v, %w", head, err)
			}
			s3test.MustRead(t, client, bucket, state, body)
			if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &lock}); err != nil {
				return err
			}
		}
		return nil
	}
}

package commands

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// asked is the output of decrypt.py --ask.
type asked struct {
	KEK, Blob string
	Context   map[string]string
	Data      string `json:"associated_data"`
}

// docs/KEYS.md, "Recover with the proxy gone": the store, the KMS's own program, and decrypt.py,
// which shares nothing with s3proxy, are enough, even after a rotation.
func TestObjectsAreRecoveredWithTheProxyGone(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	python := needPython(t)
	store := lab.SharedVersitygw(t)
	for name, start := range map[string]func(*testing.T) (k lab.KEK, unwrap func(asked) string){
		"vault": func(t *testing.T) (lab.KEK, func(asked) string) {
			k, v := lab.VaultKEK(t), lab.SharedVault(t)
			return k, func(a asked) string {
				uri, version, _ := strings.Cut(a.KEK, "#")
				key := strings.TrimPrefix(uri, "vault://transit/")
				return v.Must(t, "POST", "transit/decrypt/"+key, map[string]any{"ciphertext": "vault:v" + version + ":" + a.Blob, "associated_data": a.Data})["plaintext"].(string)
			}
		},
		"awskms": func(t *testing.T) (lab.KEK, func(asked) string) {
			cli := lab.Need(t, "aws")
			uri, env, fake := lab.FakeKMS(t)
			k := lab.MovingAlias(uri, env, fake)
			k.Retire = nil
			return k, func(a asked) string {
				blob, err := base64.StdEncoding.DecodeString(a.Blob)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "blob")
				if err := os.WriteFile(file, blob, 0o600); err != nil {
					t.Fatal(err)
				}
				context, _ := json.Marshal(a.Context)
				out := lab.MustRun(t, lab.Env("AWS_ACCESS_KEY_ID="+fakekms.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+fakekms.SecretAccessKey), cli, "kms", "decrypt",
					"--endpoint-url", fake.URL, "--region", fakekms.Region, "--key-id", strings.TrimPrefix(a.KEK, "awskms:#"),
					"--ciphertext-blob", "fileb://"+file, "--encryption-context", string(context), "--output", "text", "--query", "Plaintext")
				return strings.TrimSpace(out)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kek, unwrap := start(t)
			body := s3test.Content(5, 200_000)
			put := func(bucket, key string, more ...string) string {
				p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: kek.Env, Args: slices.Concat([]string{"--kms", kek.URI}, kek.Read, more)})
				if bucket == "" {
					bucket = s3test.NewBucket(t, p.S3())
				}
				s3test.MustPut(t, p.S3(), "/"+bucket+"/"+key, body)
				p.Term()
				p.Wait(lab.AnswerWithin)
				return bucket
			}
			bucket := put("", "windowed")
			put(bucket, "alone", "--key-window", "0")
			recover := func(key string, record []byte) {
				t.Helper()
				whole := s3test.RawGet(t, store.S3(), "/"+bucket+"/"+key)
				dir := t.TempDir()
				files := map[string][]byte{"object": whole.Body, "record": record}
				files["meta"], _ = json.Marshal(whole.Meta)
				for name, content := range files {
					if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				names := []string{"--bucket", bucket, "--name", key}
				ask := append([]string{"../decrypt.py", "--ask", "--meta", filepath.Join(dir, "meta")}, names...)
				if record != nil {
					ask = append(ask, "--record", filepath.Join(dir, "record"))
				}
				printed, err := exec.Command(python, ask...).Output()
				var a asked
				if err != nil || json.Unmarshal(printed, &a) != nil {
					t.Fatalf("decrypt.py --ask: %v: %s", err, printed)
				}
				raw, err := base64.StdEncoding.DecodeString(unwrap(a))
				if err != nil {
					t.Fatal(err)
				}
				as := "--window-key"
				if whole.Meta["s3proxy-window"] == "" {
					as = "--key"
				}
				got, err := decrypt(t, whole.Meta, filepath.Join(dir, "object"), append(names, as, hex.EncodeToString(raw))...)
				if err != nil {
					t.Fatal(err)
				}
				if err := s3test.SameBytes(got, body); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
			recover("windowed", nil)
			recover("alone", nil)

			rotate := []string{"rotate", "--settle", "0", "s3://" + bucket}
			if kek.Renew != nil {
				kek.Renew(t)
			} else {
				rotate = append(rotate, "--new-version")
			}
			if out, code := lab.RunKeys(t, lab.ProxyOptions{Upstream: store, Env: kek.Env, Args: []string{"--kms", kek.URI}}, append(rotate, kek.Read...)...); code != 0 {
				t.Fatalf("keys rotate: %s", out)
			}
			if kek.Retire != nil {
				kek.Retire(t)
			}
			client := s3test.SDK(t, store.S3())
			list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(".s3proxy/keys/")})
			if err != nil || len(list.Contents) != 1 {
				t.Fatalf("%d records, %v", len(list.Contents), err)
			}
			out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: list.Contents[0].Key})
			if err != nil {
				t.Fatal(err)
			}
			record, err := io.ReadAll(out.Body)
			if err != nil {
				t.Fatal(err)
			}
			recover("windowed", record)
		})
	}
}

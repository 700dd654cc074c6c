package legacy

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// textKey is an EncryptionKey of abustany's program.
const textKey = "0123456789ABCDEF"

// oldBuckets are those of an old configuration, by their key in it.
type oldBuckets struct{ hex, text, plain, refused string }

// oldConfig writes the older program's configuration for a store, listening on an address.
func oldConfig(t *testing.T, store *lab.Store, address string, b oldBuckets) (path string) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	bucket := func(key string) map[string]any {
		return map[string]any{"AccessKeyId": store.AccessKey, "SecretAccessKey": store.SecretKey, "EncryptionKey": key, "RetryCount": 2, "RetryDelay": 100, "Region": "us-east-1", "Protocol": "http"}
	}
	buckets := map[string]any{b.hex: bucket(testKey), b.text: bucket(textKey), b.plain: bucket("")}
	if b.refused != "" {
		wrong := bucket(testKey)
		wrong["SecretAccessKey"] = "nobody's-secret"
		buckets[b.refused] = wrong
	}
	text, err := json.MarshalIndent(map[string]any{
		"Server":  map[string]any{"Address": host, "Port": json.Number(port), "DisableKeepAlives": true, "AwsDomain": strings.TrimPrefix(store.URL, "http://"), "InsecureTLS": false},
		"Buckets": buckets,
	}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return lab.PrivateFile(t, string(text))
}

// imported runs import-config and serves what it has made; nothing else says how.
func imported(t *testing.T, store *lab.Store, b oldBuckets) (endpoint string) {
	t.Helper()
	address, dir := lab.FreeAddress(t), filepath.Join(t.TempDir(), "new")
	out, err := lab.RunS3proxy(t, "import-config", oldConfig(t, store, address, b), "--out", dir)
	if err != nil {
		t.Fatalf("import-config: %v: %s", err, out)
	}
	for _, secret := range []string{testKey, textKey, store.SecretKey, "nobody's-secret"} {
		if strings.Contains(out, secret) {
			t.Errorf("a secret is shown: %s", out)
		}
	}
	for _, want := range []string{"auth is none", "RetryDelay", "DisableKeepAlives", "no EncryptionKey: " + b.plain} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing is said of %q: %s", want, out)
		}
	}
	wantPrivate(t, dir)
	p := lab.Start(t, "s3proxy", lab.S3proxy(t), []string{"serve", "--config", filepath.Join(dir, "config.yaml"), "--admin-listen", ""}, lab.Env())
	endpoint = "http://" + address
	for end := time.Now().Add(lab.AnswerWithin); ; {
		resp, err := http.Get(endpoint + "/" + b.plain)
		if err == nil {
			resp.Body.Close()
			return endpoint
		}
		if code, ended := p.Wait(20 * time.Millisecond); ended || time.Now().After(end) {
			t.Fatalf("serve: exit code %d: %s", code, p.Log())
		}
	}
}

// wantPrivate wants a folder of files that only their owner can read.
func wantPrivate(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", path, info, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// fetch is a client without any credentials.
func fetch(t *testing.T, address, span string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if span != "" {
		req.Header.Set("Range", "bytes="+span)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// The older program's configuration becomes this one's: from then on its clients, which sign for nobody,
// read and list its objects at its address, and what they write is of format 1.
func TestAnOldConfigurationIsImportedAndServesItsBuckets(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for _, store := range lab.SharedStores(t) {
		t.Run(store.Name, func(t *testing.T) {
			b := newOldBuckets(t, store)
			all := goldens(t)
			sizes := map[string]int{}
			for bucket, key := range map[string]string{b.hex: testKey, b.text: textKey} {
				for _, g := range all[key] {
					s3test.RawPut(t, store.S3(), "/"+bucket+"/"+g.File, g.Stored)
					sizes[bucket+"/"+g.File] = g.Size
				}
			}
			for _, bucket := range []string{b.hex, b.plain} {
				s3test.MustPut(t, store.S3(), "/"+bucket+"/before", plaintext(100))
				sizes[bucket+"/before"] = 100
			}
			endpoint := imported(t, store, b)
			for path, size := range sizes {
				if status, got := fetch(t, endpoint+"/"+path, ""); status != http.StatusOK || s3test.SameBytes(got, plaintext(size)) != nil {
					t.Errorf("%s: status %d, %d bytes", path, status, len(got))
				}
				if size < 2 {
					continue
				}
				if status, got := fetch(t, endpoint+"/"+path, fmt.Sprintf("1-%d", size-1)); status != http.StatusPartialContent || s3test.SameBytes(got, plaintext(size)[1:]) != nil {
					t.Errorf("%s: a range: status %d, %d bytes", path, status, len(got))
				}
			}
			throughHTTPProxy(t, endpoint, store.URL+"/"+b.text+"/text16-16", plaintext(16))
			awsCLI(t, endpoint, store, b, sizes)
		})
	}
}

// throughHTTPProxy reads as a client does that keeps the store's endpoint and sets HTTP_PROXY.
func throughHTTPProxy(t *testing.T, proxy, of string, want []byte) {
	t.Helper()
	at, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}}
	resp, err := client.Get(of)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || s3test.SameBytes(got, want) != nil {
		t.Errorf("%s through %s: status %d, %v", of, proxy, resp.StatusCode, err)
	}
}

func newOldBuckets(t *testing.T, store *lab.Store) oldBuckets {
	t.Helper()
	return oldBuckets{hex: s3test.NewBucket(t, store.S3()), text: s3test.NewBucket(t, store.S3()), plain: s3test.NewBucket(t, store.S3())}
}

// Each bucket goes to the store with its own credentials, and to no other's.
func TestEachImportedBucketHasItsOwnCredentials(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	store := lab.SharedVersitygw(t)
	b := newOldBuckets(t, store)
	b.refused = s3test.NewBucket(t, store.S3())
	endpoint := imported(t, store, b)
	for bucket, want := range map[string]int{b.hex: http.StatusOK, b.plain: http.StatusOK, b.refused: http.StatusInternalServerError} {
		if status, body := fetch(t, endpoint+"/"+bucket, ""); status != want {
			t.Errorf("%s: status %d, not %d: %s", bucket, status, want, body)
		}
	}
}

// awsCLI lists and writes as aws-cli does, signed by a key that nobody has configured, and unsigned.
func awsCLI(t *testing.T, endpoint string, store *lab.Store, b oldBuckets, sizes map[string]int) {
	t.Helper()
	cli := lab.NeedAWS(t, lab.Newest)
	aws := func(args ...string) string {
		t.Helper()
		env := lab.S3{AccessKey: "anybody", SecretKey: "any-secret"}.Env("HOME=" + t.TempDir())
		out, err := lab.RunBoth(t, env, cli, append([]string{"--endpoint-url", endpoint}, args...)...)
		if err != nil {
			t.Fatalf("aws %v: %v: %s", args, err, out)
		}
		return out
	}
	var list struct {
		Contents []struct {
			Key, ETag string
			Size      int
		}
	}
	if err := json.Unmarshal([]byte(aws("s3api", "list-objects-v2", "--no-sign-request", "--output", "json", "--bucket", b.hex)), &list); err != nil || len(list.Contents) == 0 {
		t.Fatal(list, err)
	}
	for _, o := range list.Contents {
		if size := sizes[b.hex+"/"+o.Key]; o.Size != size || o.ETag != s3test.MD5ETag(plaintext(size)) {
			t.Errorf("listed: %+v, want %d bytes with ETag %s", o, size, s3test.MD5ETag(plaintext(size)))
		}
	}
	if out := aws("s3", "ls"); !strings.Contains(out, b.text) {
		t.Errorf("buckets: %s", out)
	}
	body := plaintext(70_000)
	file := lab.PrivateFile(t, string(body))
	for _, bucket := range []string{b.hex, b.text, b.plain} {
		aws("s3", "cp", file, "s3://"+bucket+"/new")
		if status, got := fetch(t, endpoint+"/"+bucket+"/new", ""); status != http.StatusOK || s3test.SameBytes(got, body) != nil {
			t.Errorf("%s: what aws-cli wrote: status %d, %d bytes", bucket, status, len(got))
		}
		stored := s3test.RawGet(t, store.S3(), "/"+bucket+"/new")
		if encrypted := stored.Meta["s3proxy-format"] == "1"; encrypted == (bucket == b.plain) || encrypted == (s3test.SameBytes(stored.Body, body) == nil) {
			t.Errorf("%s: stored with %v", bucket, stored.Meta)
		}
	}
}

// What exists is not replaced, no link is followed, and a folder that others can use gets no secret.
func TestImportConfigReplacesNothingAndFollowsNoLink(t *testing.T) {
	old := lab.PrivateFile(t, `{"Server":{"Address":"127.0.0.1","Port":1},"Buckets":{"photos":{"AccessKeyId":"a","SecretAccessKey":"b","EncryptionKey":"`+textKey+`"}}}`)
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"photos.secret-access-key": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "photos.secret-access-key"), "mine") },
		"config.yaml":              func(t *testing.T, dir string) { write(t, filepath.Join(dir, "config.yaml"), "mine") },
		"photos.legacy-key": func(t *testing.T, dir string) {
			if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(dir, "photos.legacy-key")); err != nil {
				t.Fatal(err)
			}
		},
		"chmod 700": func(t *testing.T, dir string) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"is not a folder": func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(t.TempDir(), dir); err != nil {
				t.Fatal(err)
			}
		},
	} {
		dir := filepath.Join(t.TempDir(), "new")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		prepare(t, dir)
		before, _ := filepath.Glob(dir + "/*")
		out, err := lab.RunBoth(t, lab.Env(), lab.S3proxy(t), "import-config", old, "--out", dir)
		if err == nil || !strings.Contains(out, name) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if after, _ := filepath.Glob(dir + "/*"); len(after) != len(before) {
			t.Errorf("%s: it has made %v of %v", name, after, before)
		}
	}
}

// An address that other machines reach is not opened to everybody by an import.
func TestAnImportedAddressOfOtherMachinesIsNotServedToEverybody(t *testing.T) {
	old := lab.PrivateFile(t, `{"Server":{"Address":"0.0.0.0","Port":`+strings.Split(lab.FreeAddress(t), ":")[1]+`},"Buckets":{"photos":{}}}`)
	dir := filepath.Join(t.TempDir(), "new")
	out, err := lab.RunS3proxy(t, "import-config", old, "--out", dir)
	if err != nil || !strings.Contains(out, "serve does not start until") {
		t.Errorf("%v: %s", err, out)
	}
	p := lab.Start(t, "s3proxy", lab.S3proxy(t), []string{"serve", "--config", filepath.Join(dir, "config.yaml"), "--admin-listen", ""}, lab.Env())
	if code, ended := p.Wait(lab.AnswerWithin); !ended || code != 2 || !strings.Contains(p.Log(), "auth is none, and other machines reach") {
		t.Errorf("serve: exit code %d: %s", code, p.Log())
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

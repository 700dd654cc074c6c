package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// keyed is a bucket of a store with its own keyset.
type keyed struct {
	t      *testing.T
	store  *lab.Store
	kms    string
	bucket string
}

// onKeyed runs a test on both real stores; the bucket on MinIO has versioning.
func onKeyed(t *testing.T, test func(k *keyed)) {
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &keyed{t: t, store: lab.SharedVersitygw(t), kms: "localfile://" + filepath.Join(t.TempDir(), "keyset.json")}
			if name == lab.OnMinIO {
				k.store = lab.SharedMinIO(t)
			}
			k.command(0, "keys", "create")
			k.bucket = s3test.NewBucket(t, k.store.S3())
			if k.versioned() {
				_, err := k.raw().PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &k.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
				if err != nil {
					t.Fatal(err)
				}
			}
			test(k)
		})
	}
}

func (k *keyed) versioned() bool { return k.store == lab.SharedMinIO(k.t) }

// raw is a client of the store itself.
func (k *keyed) raw() *s3.Client { return s3test.SDK(k.t, k.store.S3()) }

// command runs the binary and checks its exit code.
func (k *keyed) command(want int, args ...string) string {
	k.t.Helper()
	out, code := lab.Command(k.t, k.store, append(args, "--kms", k.kms, "--upstream", k.store.URL)...)
	if code != want {
		k.t.Fatalf("s3proxy %s: exit code %d, not %d:\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

// proxied calls do with a client of a proxy. When it returns, that proxy has ended and its records
// are stored.
func (k *keyed) proxied(do func(client *s3.Client), args ...string) {
	k.t.Helper()
	p := lab.Proxy(k.t, lab.ProxyOptions{Upstream: k.store, Args: append([]string{"--kms", k.kms}, args...)})
	do(s3test.SDK(k.t, p.S3()))
	p.Term()
	p.Wait(lab.AnswerWithin)
}

func (k *keyed) put(client *s3.Client, key string, body []byte) {
	k.t.Helper()
	if _, err := client.PutObject(k.t.Context(), &s3.PutObjectInput{Bucket: &k.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		k.t.Fatalf("PUT %s: %v", key, err)
	}
}

// primary is the current version of the key.
func (k *keyed) primary() string {
	k.t.Helper()
	for line := range strings.Lines(k.command(0, "keys", "list")) {
		if m := regexp.MustCompile(`^(\d+) .*\btrue\b`).FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	k.t.Fatal("keys list shows no primary")
	return ""
}

// records lists the keys of the bucket's window records.
func (k *keyed) records() (keys []string) {
	k.t.Helper()
	out, err := k.raw().ListObjectsV2(k.t.Context(), &s3.ListObjectsV2Input{Bucket: &k.bucket, Prefix: aws.String(".s3proxy/keys/")})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// recordOf is the key of the window record that an object names.
func (k *keyed) recordOf(key string) string {
	k.t.Helper()
	var shown struct{ Window string }
	if err := json.Unmarshal([]byte(k.command(0, "inspect", "--json", "s3://"+k.bucket+"/"+key)), &shown); err != nil || shown.Window == "" {
		k.t.Fatalf("inspect of %s: window %q, %v", key, shown.Window, err)
	}
	return ".s3proxy/keys/" + shown.Window
}

func (k *keyed) delete(key string) {
	k.t.Helper()
	if _, err := k.raw().DeleteObject(k.t.Context(), &s3.DeleteObjectInput{Bucket: &k.bucket, Key: &key}); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keyed) wantAnswer(version string, mayGo bool, why string, flags ...string) {
	k.t.Helper()
	want := 3
	switch {
	case mayGo:
		want = 0
	case strings.Contains(why, "looked at"): // the answer could not be determined
		want = 1
	}
	out := k.command(want, append([]string{"keys", "status", "--kek", version, "s3://" + k.bucket}, flags...)...)
	if !strings.Contains(out, why) || strings.Contains(out, "yes") != mayGo {
		k.t.Errorf("may version %s go? wanted %t because of %q:\n%s", version, mayGo, why, out)
	}
}

// The answers of keys status over the life of a key: each no has its own reason, and after a yes
// the version can be destroyed and everything still reads.
func TestKeysStatusSaysWhetherAVersionMayBeDestroyed(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		first := k.primary()
		var upload *s3test.Upload
		k.proxied(func(client *s3.Client) {
			for i := range 6 {
				k.put(client, fmt.Sprintf("o%d", i), s3test.Content(uint64(i), 1000))
			}
			k.put(client, "o0", s3test.Content(0, 1000))
			upload = s3test.Begin(t, client, k.bucket, "uploaded")
		}, "--key-window-objects", "3")
		k.put(k.raw(), "plain", []byte("not encrypted"))
		k.wantAnswer(first, false, "it is the current one", "--objects")
		k.command(0, "keys", "rotate", "--new-version", "--settle", "0", "s3://"+k.bucket)
		second := k.primary()

		k.wantAnswer(first, false, "not known: only --objects")
		k.wantAnswer(first, true, "yes", "--objects")
		k.wantAnswer("localfile:#12345", true, "yes: nothing here names it", "--objects")
		k.wantAnswer(k.kms+"#"+first, true, "yes", "--objects")
		k.wantAnswer(k.kms+"#"+second, false, "it is the current one", "--objects")
		k.wantAnswer("vault://transit/photos#1", false, "no configured key has this name", "--objects")
		k.wantAnswer("localfile:///elsewhere#"+first, false, "no configured key has this name", "--objects")
		if out := k.command(1, "keys", "status", "--objects", "--kek", "x1", "s3://"+k.bucket); !strings.Contains(out, "does not contain a key id") {
			k.t.Errorf("an unknown version: %s", out)
		}
		if out := k.command(2, "keys", "status", "--objects", "--kek", k.kms, "s3://"+k.bucket); !strings.Contains(out, "several versions") {
			k.t.Errorf("a key without a version: %s", out)
		}
		out := k.command(0, "keys", "status", "--objects", "--json", "s3://"+k.bucket)
		var shown struct {
			Current string
			Plain   int `json:"not-encrypted"`
			Keys    []struct {
				KEK                       string
				Records, Objects, Covered int
				MayDestroy                bool `json:"may-be-destroyed"`
			}
		}
		if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.Current != "localfile:#"+second || shown.Plain != 1 || len(shown.Keys) != 2 {
			t.Fatalf("%v: %s", err, out)
		}
		objects := 7 // including the upload
		if k.versioned() {
			objects++
		}
		for _, use := range shown.Keys {
			old := use.KEK == "localfile:#"+first
			if use.MayDestroy != old || old && (use.Records != 0 || use.Objects != objects || use.Covered != objects) || !old && use.Records != len(k.records()) {
				t.Errorf("%+v, wanted %d objects and %d records", use, objects, len(k.records()))
			}
		}

		// A missing record, then one with false contents.
		name := k.recordOf("o5")
		record, err := k.raw().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &k.bucket, Key: &name})
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.NewDecoder(record.Body).Decode(&fields); err != nil {
			t.Fatal(err)
		}
		whole, _ := json.Marshal(fields)
		k.delete(name)
		k.wantAnswer(first, false, "have no window record any more", "--objects")
		wrapped := []byte(fields["wrapped"].(string))
		if wrapped[20] == 'A' { // replace a letter of the base64
			wrapped[20] = 'B'
		} else {
			wrapped[20] = 'A'
		}
		fields["wrapped"] = string(wrapped)
		broken, _ := json.Marshal(fields)
		k.put(k.raw(), name, broken)
		k.wantAnswer(first, false, "does not open", "--objects")
		k.put(k.raw(), name, []byte("{}"))
		k.wantAnswer(first, false, "not looked at: window record", "--objects")
		k.put(k.raw(), name, whole)
		k.wantAnswer(first, true, "yes", "--objects")

		// An object that the command cannot examine.
		_, err = k.raw().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &k.bucket, Key: aws.String("odd"), Body: strings.NewReader("x"), Metadata: map[string]string{"s3proxy-format": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		k.wantAnswer(first, false, "not everything could be looked at", "--objects")
		k.purge("odd")

		// Window 0.
		k.proxied(func(client *s3.Client) { k.put(client, "alone", s3test.Content(9, 100)) }, "--key-window", "0")
		k.command(0, "keys", "rotate", "--new-version", "--settle", "0", "s3://"+k.bucket)
		k.wantAnswer(second, false, "window 0", "--objects")
		k.command(0, "keys", "rotate", "--objects", "--settle", "0", "s3://"+k.bucket)
		if k.versioned() {
			k.wantAnswer(second, false, "window 0", "--objects") // because of the noncurrent version
			k.purgeOld("alone")
		}
		k.wantAnswer(second, true, "yes", "--objects")
		k.wantAnswer(first, true, "yes", "--objects")

		k.command(0, "keys", "destroy", "--yes", first)
		k.command(0, "keys", "destroy", "--yes", second)
		k.proxied(func(client *s3.Client) {
			for i := range 6 {
				s3test.WantObject(t, client, k.bucket, fmt.Sprintf("o%d", i), s3test.Content(uint64(i), 1000))
			}
			s3test.WantObject(t, client, k.bucket, "alone", s3test.Content(9, 100))
			part := s3test.Content(77, 1000)
			if _, err := upload.Complete(client, upload.Send(client, 1, part)); err != nil {
				t.Fatal(err)
			}
			s3test.WantObject(t, client, k.bucket, "uploaded", part)
		})
	})
}

// purge deletes an object with all its versions.
func (k *keyed) purge(key string) { k.purgeVersions(key, false) }

// purgeOld deletes the noncurrent versions of an object.
func (k *keyed) purgeOld(key string) { k.purgeVersions(key, true) }

func (k *keyed) purgeVersions(key string, keepLatest bool) {
	k.t.Helper()
	if !k.versioned() {
		k.delete(key)
		return
	}
	out, err := k.raw().ListObjectVersions(k.t.Context(), &s3.ListObjectVersionsInput{Bucket: &k.bucket, Prefix: &key})
	if err != nil {
		k.t.Fatal(err)
	}
	drop := func(version *string, latest *bool) {
		if keepLatest && aws.ToBool(latest) {
			return
		}
		if _, err := k.raw().DeleteObject(k.t.Context(), &s3.DeleteObjectInput{Bucket: &k.bucket, Key: &key, VersionId: version}); err != nil {
			k.t.Fatal(err)
		}
	}
	for _, v := range out.Versions {
		drop(v.VersionId, v.IsLatest)
	}
	for _, v := range out.DeleteMarkers {
		drop(v.VersionId, v.IsLatest)
	}
}

// gc --records removes the records of windows all of whose objects are gone, and no other records.
func TestGCRemovesRecordsThatNothingNames(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		const objects = 8
		var upload *s3test.Upload
		k.proxied(func(client *s3.Client) {
			for i := range objects {
				k.put(client, fmt.Sprintf("o%d", i), s3test.Content(uint64(i), 1000))
			}
			time.Sleep(1100 * time.Millisecond)                    // Last-Modified has a resolution of whole seconds
			upload = s3test.Begin(t, client, k.bucket, "uploaded") // in its own window
		}, "--key-window-objects", "2")
		all := k.records()
		if len(all) != objects/2+1 {
			t.Fatalf("%d records", len(all))
		}
		s3url := "s3://" + k.bucket
		gone := k.recordOf("o3")
		k.proxied(func(client *s3.Client) {
			for _, key := range []string{"o2", "o3"} {
				if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &k.bucket, Key: &key}); err != nil {
					t.Fatal(err)
				}
			}
		})
		want := func(out string, removed, named, young int) {
			t.Helper()
			var got struct{ Removed, Named, Young int }
			if err := json.Unmarshal([]byte(lab.JSONLine(out)), &got); err != nil || got.Removed != removed || got.Named != named || got.Young != young {
				t.Errorf("wanted %d removed, %d named, %d young: %v %s", removed, named, young, err, out)
			}
		}
		if k.versioned() { // versions left by the deletes still name the record
			want(k.command(0, "gc", "--records", "--records-grace", "0", "--json", s3url), 0, len(all), 0)
			k.purge("o2")
			want(k.command(0, "gc", "--records", "--records-grace", "0", "--json", s3url), 0, len(all), 0)
			k.purge("o3")
		}
		want(k.command(0, "gc", "--records", "--json", s3url), 0, len(all)-1, 1)
		want(k.command(0, "gc", "--records", "--records-grace", "0", "--dry-run", "--json", s3url), 1, len(all)-1, 0)
		// Nothing is removed while an object cannot be examined.
		_, err := k.raw().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &k.bucket, Key: aws.String("odd"), Body: strings.NewReader("x"), Metadata: map[string]string{"s3proxy-format": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		if out := k.command(1, "gc", "--records", "--records-grace", "0", s3url); !strings.Contains(out, `"odd"`) || !strings.Contains(out, "no window record was removed") {
			t.Errorf("with an object that cannot be looked at: %s", out)
		}
		k.purge("odd")
		if got := k.records(); len(got) != len(all) {
			t.Fatalf("%d records, before any went %d", len(got), len(all))
		}
		// Foreign objects are neither records nor prefixes of records.
		foreign := []string{".s3proxy/keys/0", ".s3proxy/keys/" + strings.ToUpper(strings.TrimPrefix(all[0], ".s3proxy/keys/")), gone + "x"}
		for _, key := range foreign {
			k.put(k.raw(), key, []byte("x"))
		}
		if out := k.command(0, "gc", "--records", "--records-grace", "0", "--dry-run", s3url); !strings.Contains(out, fmt.Sprintf("%d foreign", len(foreign))) {
			t.Errorf("with foreign names: %s", out)
		}
		want(k.command(0, "gc", "--records", "--records-grace", "0", "--json", s3url), 1, len(all)-1, 0)
		want(k.command(0, "gc", "--records", "--records-grace", "0", "--json", s3url), 0, len(all)-1, 0)
		left := k.records()
		if slices.Contains(left, gone) || len(left) != len(all)-1+len(foreign) {
			t.Errorf("%s still exists, or others are gone: %s", gone, left)
		}
		for _, key := range foreign {
			k.purge(key)
		}
		config := lab.PrivateFile(t, "key-window: 1h\n")
		if out := k.command(2, "gc", "--records", "--records-grace", "90m", "--config", config, s3url); !strings.Contains(out, "at least twice key-window") {
			t.Errorf("a grace shorter than the longest window: %s", out)
		}

		first := k.primary()
		k.command(0, "keys", "rotate", "--new-version", "--settle", "0", s3url)
		k.command(0, "keys", "destroy", "--yes", first)
		k.proxied(func(client *s3.Client) {
			for _, i := range []int{0, 1, 4, 5, 6, 7} {
				s3test.WantObject(t, client, k.bucket, fmt.Sprintf("o%d", i), s3test.Content(uint64(i), 1000))
			}
			part := s3test.Content(77, 1000)
			if _, err := upload.Complete(client, upload.Send(client, 1, part)); err != nil {
				t.Fatal(err)
			}
			s3test.WantObject(t, client, k.bucket, "uploaded", part)
		})
	})
}

// keys verify names each damaged object and its first damaged segment.
func TestKeysVerifyNamesTheFirstBadSegment(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		k.proxied(func(client *s3.Client) {
			k.put(client, "empty", nil)
			for i := range 20 {
				k.put(client, fmt.Sprintf("small/%02d", i), s3test.Content(uint64(i), 1000*i))
			}
			for _, key := range []string{"good", "body", "trailer", "short", "moved", "meta"} {
				k.put(client, key, s3test.Content(1, s3test.TamperSize))
			}
			for _, key := range []string{"parts", "bad-parts"} {
				m := s3test.Begin(t, client, k.bucket, key)
				if _, err := m.Complete(client, m.Send(client, 1, s3test.Content(2, 5*s3test.MiB)), m.Send(client, 2, s3test.Content(3, s3test.TamperSize))); err != nil {
					t.Fatal(err)
				}
			}
		})
		s3url := "s3://" + k.bucket
		if out := k.command(0, "keys", "verify", s3url); !strings.Contains(out, ": 29 objects") || !strings.Contains(out, " 1 window records opened") {
			t.Errorf("before any damage: %s", out)
		}
		at := lab.Target{S3: k.store.S3(), Name: t.Name(), Store: k.store}
		damage := func(key string, change func(o s3test.Stored) s3test.Stored) {
			path := "/" + k.bucket + "/" + key
			s3test.RawPut(t, s3test.Operator(t, at, k.bucket), path, change(s3test.RawGet(t, s3test.Operator(t, at, k.bucket), path)))
		}
		damage("body", func(o s3test.Stored) s3test.Stored {
			return s3test.Stored{Body: s3test.Flipped(o.Body, s3test.StoredSegment+100), Meta: o.Meta}
		})
		damage("trailer", func(o s3test.Stored) s3test.Stored {
			return s3test.Stored{Body: s3test.Flipped(o.Body, len(o.Body)-20), Meta: o.Meta}
		})
		damage("short", func(o s3test.Stored) s3test.Stored {
			return s3test.Stored{Body: o.Body[:len(o.Body)-s3test.StoredSegment], Meta: o.Meta}
		})
		damage("meta", func(o s3test.Stored) s3test.Stored { return o.With("s3proxy-kek", o.Meta["s3proxy-kek"]+"1") })
		damage("moved", func(o s3test.Stored) s3test.Stored {
			return s3test.RawGet(t, s3test.Operator(t, at, k.bucket), "/"+k.bucket+"/good")
		})
		damage("bad-parts", func(o s3test.Stored) s3test.Stored {
			return s3test.Stored{Body: s3test.Flipped(o.Body, 5*s3test.MiB+80*28+3*s3test.StoredSegment-5), Meta: o.Meta}
		})
		k.put(k.raw(), "plain", []byte("not encrypted"))
		var got struct {
			Objects, Records int
			Plain            int `json:"not-encrypted"`
			Bad              reasons
		}
		out := k.command(1, "keys", "verify", "--json", s3url)
		if err := json.Unmarshal([]byte(lab.JSONLine(out)), &got); err != nil || got.Objects != 30 || got.Plain != 1 || got.Records != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		for key, reason := range map[string]string{
			"body": "segment 1", "trailer": "summary", "short": "", "meta": "", "moved": "", "bad-parts": "part 2, segment 2", "plain": "not an object of s3proxy",
		} {
			if why, bad := got.Bad[key]; !bad || !strings.Contains(why, reason) {
				t.Errorf("%s: %q, wanted %q", key, why, reason)
			}
			delete(got.Bad, key)
		}
		if len(got.Bad) > 0 {
			t.Errorf("more is bad: %v", got.Bad)
		}
		k.command(0, "keys", "verify", s3url+"/small/", s3url+"/good")
		var sampled struct{ Objects int }
		out = lab.JSONLine(k.command(0, "keys", "verify", "--sample", "0.5", "--json", s3url+"/small/"))
		if err := json.Unmarshal([]byte(out), &sampled); err != nil || sampled.Objects == 20 {
			t.Errorf("half of 20: %v %s", err, out)
		}
		// The good state still exists as an old version.
		if k.versioned() {
			for _, key := range []string{"trailer", "short", "meta", "moved", "bad-parts", "plain"} {
				k.purge(key)
			}
			if out := k.command(1, "keys", "verify", "--versions", "--json", s3url); strings.Count(out, "segment") != 1 || !strings.Contains(out, `"objects":25,`) {
				t.Errorf("with versions: %s", out)
			}
		}
	})
}

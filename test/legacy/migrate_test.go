package legacy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// report has the fields of the commands' JSON that are about old objects.
type report struct {
	Objects, Rewritten, Done, Legacy int
	LegacyLeft                       int  `json:"legacy-left"`
	OldLegacy                        int  `json:"old-versions-legacy"`
	NotEncrypted                     int  `json:"not-encrypted"`
	Off                              bool `json:"allow-plaintext-reads-can-be-switched-off"`
	Plain                            bool `json:"all-is-plaintext"`
	Failed, Bad                      []struct{ Key, Error string }
}

// run runs a command on the bucket, with its configuration.
func (o *oldBucket) run(t *testing.T, args ...string) (r report, out string, code int) {
	t.Helper()
	out, code = lab.Command(t, o.store, append(args, "--upstream", o.store.URL, "--kms", o.kms, "--config", o.config)...)
	if line := lab.JSONLine(out); strings.HasPrefix(line, "{") && args[0] != "inspect" {
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	return r, out, code
}

func TestOldObjectsBecomeOursInPlace(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		key := sorted(goldens(t))[0] // 32 digits: hex of one, characters of another
		o := newOldBucket(t, store, key, "etag: "+mode)
		raw, want := s3test.SDK(t, store.S3()), map[string][]byte{}
		put := func(name string, s s3test.Stored, plain []byte) {
			t.Helper()
			if _, err := raw.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: &o.bucket, Key: &name, Body: strings.NewReader(string(s.Body)), Metadata: s.Meta, ContentType: aws.String("text/x-own"), Tagging: aws.String(s3test.TwoTags),
			}); err != nil {
				t.Fatal(err)
			}
			want[name] = plain
		}
		for _, g := range goldens(t)[key] {
			put(g.File, g.Stored, plaintext(g.Size))
			if g.Size == 0 && store != nil {
				put("folder/"+g.File, g.Stored, nil)
			}
		}
		old := len(want)
		put("plain", s3test.Stored{Body: plaintext(1000)}, plaintext(1000))
		s3url := "s3://" + o.bucket

		r, out, code := o.run(t, "encrypt-existing", "--json", s3url)
		if code != 1 || len(r.Failed) != old || r.Rewritten != 1 || r.Legacy != 0 || r.Off || !strings.Contains(r.Failed[0].Error, "the older s3proxy (AES-CFB)") {
			t.Errorf("without --legacy: exit code %d: %s", code, out)
		}
		if r, out, code = o.run(t, "encrypt-existing", "--legacy", "--dry-run", "--json", s3url); code != 0 || r.Legacy != old || r.Rewritten != old {
			t.Errorf("a dry run: exit code %d: %s", code, out)
		}
		for name := range want {
			if isOld := s3test.RawGet(t, store.S3(), o.path(name)).Meta[oldHeader] != ""; isOld == (name == "plain") {
				t.Errorf("%s was changed by that", name)
			}
		}
		if r, out, code = o.run(t, "encrypt-existing", "--legacy", "--json", s3url); code != 0 || r.Legacy != old || r.Rewritten != old || !r.Off {
			t.Errorf("exit code %d: %s", code, out)
		}
		if r, out, code = o.run(t, "encrypt-existing", "--legacy", "--json", s3url); code != 0 || r.Legacy != 0 || r.Rewritten != 0 || r.Done != old+1 {
			t.Errorf("again: exit code %d: %s", code, out)
		}
		// A proxy that knows nothing of old objects and refuses plaintext reads them all.
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", o.kms, "--etag", mode}})
		client := s3test.SDK(t, p.S3())
		for name, plain := range want {
			if s := s3test.RawGet(t, store.S3(), o.path(name)); s.Meta["s3proxy-format"] != "1" || s.Meta[oldHeader] != "" {
				t.Errorf("%s in the store: %v", name, sorted(s.Meta))
			}
			got := s3test.MustRead(t, client, o.bucket, name, plain)
			tags, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &o.bucket, Key: &name})
			if err != nil || len(tags.TagSet) != 2 || aws.ToString(got.ContentType) != "text/x-own" {
				t.Errorf("%s: %v, %v, %s", name, err, tags, aws.ToString(got.ContentType))
			}
		}
		listsOld(t, p, o, mode, want)
	})
}

func TestAnOldObjectThatIsDamagedIsNamedAndLeft(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		good := makeOld(t, plaintext(100_000))
		damaged := map[string]s3test.Stored{
			"flipped": {Body: s3test.Flipped(good.Body, 50_000), Meta: good.Meta}, "cut": {Body: good.Body[:50_000], Meta: good.Meta},
			"header": good.With(oldHeader, strings.Repeat("00", 53)), "swapped": {Body: makeOld(t, s3test.Content(1, 100_000)).Body, Meta: good.Meta},
			"no-md5": good.With(oldHeader, makeHeader(t, 100_000, `""`)), "no-md5-flipped": {Body: s3test.Flipped(good.Body, 50_000), Meta: map[string]string{oldHeader: makeHeader(t, 100_000, `""`)}},
		}
		large := makeOld(t, plaintext(20<<20)) // which streams in parts
		damaged["large"] = s3test.Stored{Body: s3test.Flipped(large.Body, 15<<20), Meta: large.Meta}
		for name, s := range damaged {
			o.put(t, name, s)
		}
		o.put(t, "good", good)
		o.put(t, "empty", s3test.Stored{Body: cfb(t, nil), Meta: map[string]string{oldHeader: makeHeader(t, 0, `""`)}})
		r, out, code := o.run(t, "encrypt-existing", "--legacy", "--json", "s3://"+o.bucket)
		if code != 1 || len(r.Failed) != len(damaged) || r.Legacy != 2 || r.Off {
			t.Errorf("exit code %d: %s", code, out)
		}
		for _, f := range r.Failed {
			if _, ok := damaged[f.Key]; !ok || !strings.Contains(f.Error, "older s3proxy") && !strings.Contains(f.Error, "x-amz-meta-s3proxy") {
				t.Errorf("%+v", f)
			}
		}
		for name, s := range damaged {
			if now := s3test.RawGet(t, store.S3(), o.path(name)); s3test.SameBytes(now.Body, s.Body) != nil || now.Meta[oldHeader] != s.Meta[oldHeader] {
				t.Errorf("%s was changed", name)
			}
		}
		if r, out, code := o.run(t, "encrypt-existing", "--legacy", "--legacy-without-md5", "--json", "s3://"+o.bucket); code != 1 || len(r.Failed) != len(damaged)-2 || r.Legacy != 2 {
			t.Errorf("without MD5, exit code %d: %s", code, out)
		}
		if _, out, code := o.run(t, "encrypt-existing", "--legacy-without-md5", "s3://"+o.bucket); code != 2 || !strings.Contains(out, "--legacy-without-md5 goes with --legacy") {
			t.Errorf("without --legacy, exit code %d: %s", code, out)
		}
		uploads, err := s3test.SDK(t, store.S3()).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &o.bucket})
		if err != nil || len(uploads.Uploads) != 0 {
			t.Errorf("uploads are left: %v, %v", uploads, err)
		}
	})
}

func TestTheCommandsSayWhatIsNotAuthenticated(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	o := newOldBucket(t, lab.SharedVersitygw(t), testKey)
	plain := plaintext(100_000)
	o.put(t, "old", makeOld(t, plain))
	s3test.MustPut(t, o.proxy(t).S3(), o.path("ours"), plain)
	s3url := "s3://" + o.bucket
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"inspect", s3url + "/old"}, 0, []string{"by the older s3proxy (AES-CFB): not authenticated", "100000", "Opens:          yes", s3test.MD5ETag(plain)[1:33]}},
		{[]string{"inspect", "--json", s3url + "/old"}, 0, []string{`"encrypted":false,"legacy":true`, `"size":100000`}},
		{[]string{"keys", "status", "--objects", s3url}, 0, []string{"1 objects are of the older s3proxy: nothing authenticates them"}},
		{[]string{"keys", "status", "--objects", "--json", s3url}, 0, []string{`"not-encrypted":0,"legacy":1`}},
		{[]string{"keys", "verify", s3url}, 0, []string{"2 objects with 200000 bytes read", "1 of the objects are of the older s3proxy", " 0 bad"}},
		{[]string{"keys", "rotate", "--objects", "--new-version", "--settle", "0", s3url}, 0, []string{"1 objects of the older s3proxy, which nothing authenticates, were left as they are: encrypt-existing --legacy"}},
		{[]string{"keys", "rekey", "--dry-run", s3url}, 0, []string{"1 objects of the older s3proxy, which nothing authenticates, were left"}},
		{[]string{"decrypt-existing", "--json", s3url}, 1, []string{"make it ours first, by encrypt-existing --legacy", `"all-is-plaintext":false`}},
		{[]string{"doctor"}, 3, []string{"bucket " + o.bucket + ": legacy-key: the store can put forged content"}},
	} {
		_, out, code := o.run(t, c.args...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(out, want) {
				t.Errorf("%q: exit code %d, no %q in %s", c.args, code, want, out)
			}
		}
	}
	// decrypt reads one, without a proxy, and says what it is.
	to := filepath.Join(t.TempDir(), "file")
	if _, out, code := o.run(t, "decrypt", s3url+"/old", "-o", to); code != 0 || !strings.Contains(out, "nothing authenticates it") {
		t.Errorf("decrypt: exit code %d: %s", code, out)
	}
	if got, err := os.ReadFile(to); err != nil || s3test.SameBytes(got, plain) != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	damaged := makeOld(t, plain)
	damaged.Body[50_000] ^= 1
	o.put(t, "damaged", damaged)
	if _, out, code := o.run(t, "decrypt", s3url+"/damaged", "-o", to+"2"); code != 1 || !strings.Contains(out, "does not have the MD5") {
		t.Errorf("decrypt of a damaged one: exit code %d: %s", code, out)
	}
	if r, out, code := o.run(t, "keys", "verify", "--json", s3url); code != 1 || len(r.Bad) != 1 || r.Bad[0].Key != "damaged" {
		t.Errorf("keys verify of a damaged one: exit code %d: %s", code, out)
	}
	// Without the key they are bad, and the setting is named.
	out, code := lab.Command(t, o.store, "keys", "verify", "--upstream", o.store.URL, "--kms", o.kms, "--allow-plaintext-reads", s3url)
	if code != 1 || !strings.Contains(out, "legacy-key") {
		t.Errorf("keys verify without a key: exit code %d: %s", code, out)
	}
	out, code = lab.Command(t, o.store, "encrypt-existing", "--legacy", "--upstream", o.store.URL, "--kms", o.kms, s3url)
	if code == 0 || !strings.Contains(out, "legacy-key-file") {
		t.Errorf("encrypt-existing --legacy without a key: exit code %d: %s", code, out)
	}
}

func TestOldVersionsOfTheOlderProgramAreCounted(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	o := newOldBucket(t, lab.SharedMinIO(t), testKey)
	raw := s3test.SDK(t, o.store.S3())
	if _, err := raw.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &o.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{plaintext(1000), plaintext(2000)}
	for _, body := range bodies {
		o.put(t, "old", makeOld(t, body))
	}
	p := o.proxy(t, "--etag", "md5")
	client := s3test.SDK(t, p.S3())
	check := func(when string) {
		t.Helper()
		list, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &o.bucket})
		if err != nil {
			t.Fatal(err)
		}
		for i, body := range bodies { // the newest comes first
			v := list.Versions[len(list.Versions)-1-i]
			got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &o.bucket, Key: v.Key, VersionId: v.VersionId})
			if err != nil || *v.Size != int64(len(body)) || *v.ETag != s3test.MD5ETag(body) || *got.ContentLength != *v.Size || *got.ETag != *v.ETag {
				t.Errorf("%s: %s: %d bytes, %s: %v", when, *v.VersionId, *v.Size, *v.ETag, err)
			}
		}
	}
	check("before")
	r, out, code := o.run(t, "encrypt-existing", "--legacy", "--json", "s3://"+o.bucket)
	if code != 0 || r.Legacy != 1 || r.OldLegacy != 2 || !r.Off {
		t.Errorf("exit code %d: %s", code, out)
	}
	check(fmt.Sprint("after ", r.Rewritten))
}

package commands

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The commands find a bucket's records and uploads where its proxies put them, under the origin
// that its keys are bound to.
func TestKeyCommandsKnowWhereABucketsStateIs(t *testing.T) {
	lab.TakesLong(t)
	for name, where := range map[string]func(k *keyed) []string{
		"state bucket": func(k *keyed) []string {
			return []string{"--state-bucket", s3test.NewBucket(k.t, k.store.S3()), "--state-prefix", "team/"}
		},
		"prefix": func(*keyed) []string { return []string{"--state-prefix", "team/"} },
		"alias":  func(k *keyed) []string { return []string{"--bucket-alias", k.bucket + "=" + lab.FreeName("origin")} },
		"all": func(k *keyed) []string {
			return []string{"--state-bucket", s3test.NewBucket(k.t, k.store.S3()), "--state-prefix", "team", "--bucket-alias", k.bucket + "=" + lab.FreeName("origin")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onKeyed(t, func(k *keyed) {
				where := where(k)
				key := "k"
				if strings.Contains(strings.Join(where, " "), "--state-prefix") {
					key = "team/k"
				}
				k.wholeLife(key, where)
			})
		})
	}
}

// Versioning was enabled and is now suspended: the current object may be a version with an id, or
// the one without.
func TestKeyCommandsOnABucketWithSuspendedVersioning(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		if !k.versioned() {
			return
		}
		k.proxied(func(client *s3.Client) {
			k.put(client, "enabled", s3test.Content(1, 1000))
			k.put(client, "both", s3test.Content(2, 1000))
			_, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &k.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
			if err != nil {
				t.Fatal(err)
			}
			k.put(client, "both", s3test.Content(3, 1000))
			k.put(client, "suspended", s3test.Content(4, 1000))
		})
		k.put(k.raw(), "plain", s3test.Content(5, 1000))
		first := k.primary()
		k.command(0, "encrypt-existing", "s3://"+k.bucket)
		k.command(0, "keys", "rotate", "--new-version", "--objects", "--settle", "0", "s3://"+k.bucket)
		k.wantAnswer(first, true, "yes", "--objects")
		// The versions with an id still exist, and only their records cover them.
		var shown struct {
			Keys []struct{ Objects, Covered int }
		}
		out := k.command(0, "keys", "status", "--objects", "--json", "--kek", first, "s3://"+k.bucket)
		if err := json.Unmarshal([]byte(lab.JSONLine(out)), &shown); err != nil || len(shown.Keys) != 1 || shown.Keys[0].Objects != 2 || shown.Keys[0].Covered != 2 {
			t.Errorf("wanted two versions under the first key: %v %s", err, out)
		}
		k.command(0, "keys", "destroy", "--yes", first)
		k.command(0, "keys", "verify", "--versions", "s3://"+k.bucket)
		k.proxied(func(client *s3.Client) {
			for key, seed := range map[string]uint64{"enabled": 1, "both": 3, "suspended": 4, "plain": 5} {
				s3test.WantObject(t, client, k.bucket, key, s3test.Content(seed, 1000))
			}
		})
	})
}

// wholeLife encrypts, rotates, counts, verifies and cleans up a key's objects, with the settings
// that say where records and uploads are.
func (k *keyed) wholeLife(prefix string, where []string) {
	t := k.t
	const objects = 4
	do := func(args ...string) string { return k.command(0, append(args, where...)...) }
	key := func(i int) string { return fmt.Sprintf("%s%d", prefix, i) }
	s3url := "s3://" + k.bucket
	var upload *s3test.Upload
	k.proxied(func(client *s3.Client) {
		for i := range objects {
			k.put(client, key(i), s3test.Content(uint64(i), 1000))
		}
		upload = s3test.Begin(t, client, k.bucket, prefix+"uploaded")
	}, append(where, "--key-window-objects", "2")...)
	k.put(k.raw(), key(objects), s3test.Content(objects, 1000))
	do("encrypt-existing", s3url)
	first := k.primary()

	var rotated struct {
		Records, Rewrapped int
		Objects            struct{ Objects, Rewritten, Uploads int }
	}
	out := do("keys", "rotate", "--new-version", "--objects", "--settle", "0", "--json", s3url)
	if err := json.Unmarshal([]byte(lab.JSONLine(out)), &rotated); err != nil || rotated.Rewrapped != 4 || rotated.Objects.Rewritten != objects+1 || rotated.Objects.Uploads != 1 {
		t.Errorf("keys rotate, wanted 4 records, %d objects and one upload: %v %s", objects+1, err, out)
	}
	do("keys", "status", "--objects", "--kek", first, s3url)

	k.proxied(func(client *s3.Client) {
		if _, err := upload.Complete(client, upload.Send(client, 1, s3test.Content(77, 1000))); err != nil {
			t.Fatal(err)
		}
	}, where...)
	// Noncurrent versions and the upload name their records; the other records can go.
	var removed struct{ Records, Named, Removed int }
	time.Sleep(1100 * time.Millisecond) // Last-Modified has a resolution of whole seconds
	out = do("gc", "--records", "--records-grace", "0", "--json", s3url)
	named := 2 // the record of the upload, and the one of the renewed objects
	if k.versioned() {
		named = rotated.Records
	}
	if err := json.Unmarshal([]byte(lab.JSONLine(out)), &removed); err != nil || removed.Named != named || removed.Removed != removed.Records-named {
		t.Errorf("gc --records, wanted %d to stay: %v %s", named, err, out)
	}
	do("keys", "destroy", "--yes", first)
	if k.versioned() {
		k.purgeOld(key(objects)) // the unencrypted version
	}
	if out := do("keys", "verify", "--versions", s3url); !strings.Contains(out, fmt.Sprintf(" %d window records opened", named)) || !strings.Contains(out, " 0 bad") {
		t.Errorf("keys verify, wanted %d records: %s", named, out)
	}
	k.proxied(func(client *s3.Client) {
		for i := range objects + 1 {
			s3test.WantObject(t, client, k.bucket, key(i), s3test.Content(uint64(i), 1000))
		}
		s3test.WantObject(t, client, k.bucket, prefix+"uploaded", s3test.Content(77, 1000))
	}, where...)
}

// A proxy that has not yet seen the new version makes a window while keys status is at work: its
// record did not exist when the records were listed.
func TestKeysStatusCountsARecordThatIsPutMeanwhile(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		file := strings.TrimPrefix(k.kms, "localfile://")
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stale := filepath.Join(t.TempDir(), "keyset.json")
		if err := os.WriteFile(stale, body, 0o600); err != nil {
			t.Fatal(err)
		}
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", "localfile://" + stale, "--key-window-objects", "1"}})
		client := s3test.SDK(t, p.S3())
		k.put(client, "before", s3test.Content(1, 1000))
		first := k.primary()
		k.command(0, "keys", "rotate", "--new-version", "--settle", "0", "s3://"+k.bucket)
		k.wantAnswer(first, true, "yes", "--objects")

		for name, when := range map[string]func(*http.Request) bool{
			"before objects are listed": func(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("prefix"), "/uploads/") },
			"behind the walk": func(r *http.Request) bool {
				return r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/before")
			},
		} {
			k.command(0, "keys", "rotate", "--settle", "0", "s3://"+k.bucket)
			k.wantAnswer(first, true, "yes", "--objects")
			through := lab.Count(t, k.store)
			var once sync.Once
			through.First = func(r *http.Request) {
				if when(r) {
					once.Do(func() { k.put(client, "a/"+name, s3test.Content(2, 1000)) })
				}
			}
			out, code := lab.Command(t, k.store, "keys", "status", "--objects", "--kek", first, "s3://"+k.bucket, "--kms", k.kms, "--upstream", through.URL)
			if code != 3 || !strings.Contains(out, "1 window records are wrapped by it") {
				t.Errorf("%s: exit code %d: %s", name, code, out)
			}
		}
	})
}

// The commands cover several places at once, with buckets that have their own keys. Objects
// elsewhere stay as they are, and objects whose first key is gone are renewed by means of their
// records.
func TestKeyCommandsOnSeveralPlaces(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		other := &keyed{t: t, store: k.store, kms: "localfile://" + filepath.Join(t.TempDir(), "keyset.json"), bucket: s3test.NewBucket(t, k.store.S3())}
		other.command(0, "keys", "create")
		config := lab.PrivateFile(t, "buckets:\n  "+other.bucket+": {kms: '"+other.kms+"'}\n")
		k.proxied(func(client *s3.Client) {
			for _, key := range []string{"a/1", "a/2", "ab", "b/1", "c/1"} {
				k.put(client, key, s3test.Content(uint64(len(key)), 1000))
				other.put(client, key, s3test.Content(uint64(len(key)), 2000))
			}
		}, "--config", config)
		k.put(k.raw(), "b/plain", s3test.Content(9, 1000))
		k.put(k.raw(), "c/plain", s3test.Content(9, 1000))
		first, others := k.primary(), other.primary()
		// A misspelt bucket is noticed before anything is done, even if it would have no records of
		// its own.
		for _, args := range [][]string{{"keys", "rotate", "--new-version"}, {"keys", "rotate", "--dry-run", "--state-bucket", other.bucket}, {"keys", "status", "--state-bucket", other.bucket}, {"gc", "--state-bucket", other.bucket}, {"gc", "--records"}, {"keys", "verify"}, {"encrypt-existing", "--dry-run"}} {
			if out := k.command(1, append(args, "--config", config, "s3://"+k.bucket, "s3://misspelt")...); !strings.Contains(out, "s3://misspelt") || !strings.Contains(out, "NoSuchBucket") {
				t.Errorf("%q of a missing bucket: %s", args, out)
			}
		}
		if k.primary() != first {
			t.Error("a new version was made, and nothing done with it")
		}

		out := k.command(0, "encrypt-existing", "--config", config, "s3://"+k.bucket+"/b/")
		if !strings.Contains(out, "1 of 2 objects encrypted") || !strings.Contains(out, "only what is below the prefix") {
			t.Errorf("encrypt-existing below a prefix: %s", out)
		}
		k.command(0, "keys", "rotate", "--new-version", "--settle", "0", "--config", config, "s3://"+k.bucket, "s3://"+other.bucket)
		if k.primary() == first || other.primary() == others {
			t.Error("not each bucket's key has a new version")
		}
		k.command(0, "keys", "status", "--objects", "--config", config, "--kek", "localfile:#"+first, "--kek", "localfile:#"+others, "s3://"+k.bucket, "s3://"+other.bucket)
		k.command(0, "keys", "destroy", "--yes", first)
		other.command(0, "keys", "destroy", "--yes", others)

		before := k.stored("ab", "c/1", "c/plain", "a/1", "b/1")
		elsewhere := other.stored("a/1", "ab", "b/1", "c/1")
		k.command(2, "keys", "rotate", "--config", config, "s3://"+k.bucket+"/a/")
		k.command(0, "keys", "rotate", "--objects", "--settle", "0", "--config", config, "s3://"+k.bucket+"/a/", "s3://"+k.bucket+"/b/", "s3://"+other.bucket+"/a")
		for key, is := range k.stored("ab", "c/1", "c/plain", "a/1", "b/1") {
			if renewed := strings.Contains(key[:2], "/") && key[0] != 'c'; (is != before[key]) != renewed {
				t.Errorf("%s: renewed %t, wanted %t", key, is != before[key], renewed)
			}
		}
		for key, is := range other.stored("a/1", "ab", "b/1", "c/1") {
			if renewed := key[0] == 'a'; (is != elsewhere[key]) != renewed {
				t.Errorf("%s of the other bucket: renewed %t, wanted %t", key, is != elsewhere[key], renewed)
			}
		}
		out = k.command(1, "keys", "verify", "--config", config, "s3://"+k.bucket+"/a/", "s3://"+k.bucket+"/c/", "s3://"+other.bucket)
		for _, want := range []string{k.bucket + "/a/: 2 objects with 2000 bytes", k.bucket + "/c/: 2 objects with 1000 bytes", `"c/plain": `, other.bucket + "/: 5 objects with 10000 bytes", "s3proxy: s3://" + k.bucket + "/c/: 1 objects or records are damaged"} {
			if !strings.Contains(out, want) {
				t.Errorf("keys verify does not say %q: %s", want, out)
			}
		}
	})
}

// Keys of every kind, including some that XML cannot express.
func TestKeyCommandsOnOddKeys(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		const nameless = "ctl\x01x"
		bodies := map[string][]byte{"plain\x02": s3test.Content(99, 100)}
		for i, key := range s3test.OddKeys {
			// versitygw confuses some of these, and cannot overwrite a key with a long name.
			if path.Clean("/"+key) == "/"+key && !strings.Contains(key, strings.Repeat("k", 255)) && !strings.Contains(key, strings.Repeat("é", 120)) {
				bodies[key] = s3test.Content(uint64(i), 100)
			}
		}
		k.proxied(func(client *s3.Client) {
			for key, body := range bodies {
				if key != "plain\x02" {
					k.put(client, key, body)
				}
			}
		})
		k.put(k.raw(), "plain\x02", bodies["plain\x02"])
		s3url := "s3://" + k.bucket
		first := k.primary()
		if !k.versioned() { // versitygw lists U+FFFD there: the commands must not take objects for deleted
			for _, args := range [][]string{{"encrypt-existing"}, {"keys", "rotate", "--objects", "--settle", "0", "--new-version"}, {"gc", "--records"}, {"keys", "verify"}, {"keys", "status", "--objects"}} {
				if out := k.command(1, append(args, s3url)...); strings.Count(out, "cannot list its name") < 2 || strings.Contains(out, "you can switch off") {
					t.Errorf("%q with names that cannot be listed: %s", args, out)
				}
			}
			k.wantAnswer(first, false, "not everything could be looked at", "--objects")
			for _, key := range []string{nameless, "plain\x02"} {
				k.delete(key)
				delete(bodies, key)
			}
			bodies["plain"] = s3test.Content(98, 100)
			k.put(k.raw(), "plain", bodies["plain"])
		}
		if out := k.command(0, "encrypt-existing", s3url); !strings.Contains(out, fmt.Sprintf(": 1 of %d objects encrypted", len(bodies))) {
			t.Errorf("encrypt-existing of %d: %s", len(bodies), out)
		}
		first = k.primary()
		if out := k.command(0, "keys", "rotate", "--new-version", "--objects", "--settle", "0", s3url); !strings.Contains(out, fmt.Sprintf(": %d of %[1]d objects renewed", len(bodies))) {
			t.Errorf("keys rotate --objects of %d: %s", len(bodies), out)
		}
		k.wantAnswer(first, true, "yes", "--objects")
		k.command(0, "gc", "--records", "--records-grace", "0", s3url)
		k.command(0, "keys", "destroy", "--yes", first)
		k.command(0, "keys", "verify", "--versions", "--allow-plaintext-reads", s3url) // allows for the version that was plaintext
		k.proxied(func(client *s3.Client) {
			for key, body := range bodies {
				s3test.MustRead(t, client, k.bucket, key, body)
			}
		})
	})
}

package s3name

import (
	"encoding/base64"
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestAKeyStaysInsideItsBucket(t *testing.T) {
	for _, key := range []string{
		"", "..", ".", "../other/x", "a/../../b", "a/..", "./.", "../other/.s3proxy/keys/x", "a/b/../../..", "/..", "//../x", "./../x",
		".sgwtmp", ".sgwtmp/x", ".sgwtmp/multipart/x/y", "/.sgwtmp/x", "a/../.sgwtmp/x", ".SGWTMP/x", `.sgwtmp\x`, ".//.sgwtmp//x",
		"a\x00b", "\xff", strings.Repeat("k", MaxKey+1),
	} {
		if _, err := ParseKey(key); !errors.Is(err, ErrKey) {
			t.Errorf("%q is taken: %v", key, err)
		}
	}
	for _, key := range []string{
		"a", "/", "//", "a/../b", "..a", "a..", "a/./b", `..\\u2215..\\u2215etc`, ".hidden", "...", ".../x", "a b", "a?versionId=x", "a%2e%2e", "ä/ö",
		".sgwtmpx", "a/.sgwtmp/x", ".sgwtmp-x/y", strings.Repeat("k", MaxKey), "a\x01b",
	} {
		if k, err := ParseKey(key); err != nil || k.String() != key {
			t.Errorf("%q is refused: %v", key, err)
		}
	}
}

func TestAnIdIsNoPath(t *testing.T) {
	for _, id := range []string{
		"", ".", "..", "../../../../victim", "a/../b", "a/..", "/a", "a/", "a//b", "a/./b", `a\b`, `..\x`, "a b", "a%2e%2e", "%2e%2e%2fx",
		"a\x00", "a\nb", "a\x7f", "ä", "a?b", "a#b", "a&b", "<a>", `a"b`, strings.Repeat("i", maxID+1),
	} {
		if _, err := ParseUploadID(id); !errors.Is(err, ErrUploadID) {
			t.Errorf("the upload id %q is taken: %v", id, err)
		}
		if _, err := ParseVersionID(id); !errors.Is(err, ErrVersionID) {
			t.Errorf("the version id %q is taken: %v", id, err)
		}
	}
	// What a store finds in an id that it decodes, in each of Base64's spellings.
	for _, path := range []string{"d.../../../victim/k", "../x", "a/../../b", "d.a/../b", "d.../x", "d...", "x/..", `d...\..\victim`, ".../../k", "aa/../?\xff/b"} {
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			if _, err := ParseUploadID(e.EncodeToString([]byte(path))); !errors.Is(err, ErrUploadID) {
				t.Errorf("%q in Base64 is taken: %v", path, err)
			}
			// A version's may be that by chance, and would be lost.
			if _, err := ParseVersionID(e.EncodeToString([]byte(path))); err != nil {
				t.Errorf("%q in Base64 is refused as a version's: %v", path, err)
			}
		}
	}
	// Ids of AWS, MinIO, versitygw and Ceph, and AWS's own example.
	for _, id := range []string{
		"null", "3/L4kqtJlcpXrof3vjVBH40Nr8X8gdRQBpUMLUo", "VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA",
		"MDQ3ZTg1NDktMWYxMC00.ZTk0YjQ4-_", "2~Hx0Zxk9", "01JZ8Q4W6W9N7M3V1T2Y5X8K0B", "5a1f0b66-3d3c-4a52-b5a1-0a5b0f3f1c11", "a.b", "a..b", "abc==", strings.Repeat("i", maxID),
	} {
		if u, err := ParseUploadID(id); err != nil || u.String() != id {
			t.Errorf("the upload id %q is refused: %v", id, err)
		}
		if v, err := ParseVersionID(id); err != nil || v.String() != id {
			t.Errorf("the version id %q is refused: %v", id, err)
		}
	}
}

func TestAListingBeginsInsideItsBucket(t *testing.T) {
	for _, q := range []string{"prefix=../", "prefix=../other/", "marker=a/../../b", "start-after=/../x", "key-marker=../", "upload-id-marker=../x", "version-id-marker=..", "prefix=%00"} {
		values, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckQuery(values); !errors.Is(err, ErrQuery) {
			t.Errorf("%s is taken: %v", q, err)
		}
	}
	for _, q := range []string{"prefix=", "prefix=.", "prefix=..a", "prefix=..", "key-marker=..", "prefix=./", "prefix=a/../b", "prefix=a/b/", "delimiter=..%2F", "marker=%F0%9F%98%80", "upload-id-marker=", "max-keys=..", "version-id-marker=null"} {
		values, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckQuery(values); err != nil {
			t.Errorf("%s is refused: %v", q, err)
		}
	}
}

func TestATokenNamesNoFile(t *testing.T) {
	for _, text := range []string{"../x/", "k[minio_cache:v2,id:../../enc/.metacache/x,p:0]", "a/../../b/k", `k[minio_cache:v2,id:..\x]`} {
		for _, token := range []string{text, base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text))} {
			err := CheckQuery(url.Values{"continuation-token": {token}})
			if clear := token == text && !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, "a/"); !clear && !errors.Is(err, ErrQuery) {
				t.Errorf("%q as %q is taken: %v", text, token, err)
			}
		}
	}
	for _, token := range []string{"1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=", base64.StdEncoding.EncodeToString([]byte("a/../b[minio_cache:v2,return:]")), "a/b/c", "opaque"} {
		if err := CheckQuery(url.Values{"continuation-token": {token}}); err != nil {
			t.Errorf("%q is refused: %v", token, err)
		}
	}
}

func TestNamesOfStoresOwnAPIsAreNoBuckets(t *testing.T) {
	for _, name := range []string{"minio", "MinIO"} {
		if _, err := ParseBucket(name); !errors.Is(err, ErrBucket) {
			t.Errorf("%s is taken: %v", name, err)
		}
	}
	for name, ambiguous := range map[string]bool{"admin": true, "Swift": true, "auth": true, "admins": false, "minio2": false} {
		if b, err := ParseBucket(name); err != nil || b.Ambiguous() != ambiguous {
			t.Errorf("%s: %v %v", name, b.Ambiguous(), err)
		}
	}
}

func TestAKeyThatFoldsIsTold(t *testing.T) {
	for key, folds := range map[string]bool{"a/b": false, "a/": false, "a/../b": true, "./a": true, "a//b": true, "/a": true, `a\b`: true, "..a/b..": false, "a/.": true, "a//": true} {
		if k, err := ParseKey(key); err != nil || k.Folds() != folds {
			t.Errorf("%q: %v %v", key, k.Folds(), err)
		}
	}
}

func TestIdsAreTakenOutOfAQuery(t *testing.T) {
	upload, version, err := TakeIDs(url.Values{"uploadId": {"u"}, "versionId": {"v"}})
	if err != nil || upload.String() != "u" || version.String() != "v" {
		t.Errorf("%q %q %v", upload, version, err)
	}
	if upload, version, err = TakeIDs(url.Values{"prefix": {"x"}}); err != nil || upload != (UploadID{}) || version != (VersionID{}) {
		t.Errorf("%q %q %v", upload, version, err)
	}
	if _, version, err = TakeIDs(url.Values{"versionId": {""}}); err != nil || version != (VersionID{}) {
		t.Errorf("an empty version id: %q %v", version, err)
	}
	if _, _, err = TakeIDs(url.Values{"uploadId": {""}}); !errors.Is(err, ErrUploadID) {
		t.Errorf("an empty upload id: %v", err)
	}
	if _, _, err = TakeIDs(url.Values{"versionId": {"../x"}}); !errors.Is(err, ErrVersionID) {
		t.Errorf("a version id that is a path: %v", err)
	}
}

// FuzzNamesStayBelowTheirBucket joins what was accepted to a bucket's folder as a store may
// that keeps files.
func FuzzNamesStayBelowTheirBucket(f *testing.F) {
	for _, seed := range []string{"a", "../x", "a/../../b", ".sgwtmp/x", "//", `a\..\..\b`, "null", "3/L4", "./.sgwtmp", "%2e%2e/", "ZC4uLi8uLi8uLi9wbGFpbjIvYmln", "ZC4uLg"} {
		f.Add(seed)
	}
	const bucket = "/store/bucket"
	f.Fuzz(func(t *testing.T, name string) {
		if k, err := ParseKey(name); err == nil {
			joined := path.Join(bucket, k.String())
			if joined != bucket && !strings.HasPrefix(joined, bucket+"/") || strings.HasPrefix(strings.ToLower(joined), bucket+"/.sgwtmp/") {
				t.Errorf("the key %q is %s", name, joined)
			}
		}
		if u, err := ParseUploadID(name); err == nil {
			if joined := path.Join(bucket, u.String()); joined != bucket+"/"+name {
				t.Errorf("the id %q is %s", name, joined)
			}
			// MinIO joins what it decodes, from the first dot on.
			if decoded, err := base64.RawURLEncoding.DecodeString(name); err == nil {
				_, folder, _ := strings.Cut(string(decoded), ".")
				if joined := path.Join(bucket, folder); joined != bucket && !strings.HasPrefix(joined, bucket+"/") {
					t.Errorf("the id %q is %s where ids are decoded", name, joined)
				}
			}
		}
	})
}

// FuzzTheGlanceAtAKeyIsRight: what is taken for a key of another folder at a glance is one.
func FuzzTheGlanceAtAKeyIsRight(f *testing.F) {
	for _, folder := range []string{".s3proxy/", "team/.s3proxy/", "Kelvin/.s3proxy/", "\u212aelvin/.s3proxy/"} {
		for _, begin := range []string{"", "/", "//", "./", `\`, `.\`, "a/../", `a\..\`, "a/", "\u017f", ".", "..", "K"} {
			for _, name := range []string{folder, strings.ToUpper(folder), strings.ReplaceAll(folder, "K", "\u212a"), strings.TrimSuffix(folder, "/"), folder + "x", "b"} {
				f.Add(begin+name, folder)
			}
		}
	}
	f.Fuzz(func(t *testing.T, key, folder string) {
		if folder != "" && strings.HasSuffix(folder, "/") && beginsOtherwise(key, folder) && below(key, folder) {
			t.Errorf("%q is in %q", key, folder)
		}
	})
}

package awskms_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/awskms"
	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
)

var (
	secret = bytes.Repeat([]byte{7}, 32)
	bucket = kms.Context{"bucket": "photos"}
)

func wrap(t *testing.T, key kms.Key) kms.Wrapped {
	t.Helper()
	w, err := key.Wrap(t.Context(), secret, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func opens(t *testing.T, key kms.Key, w kms.Wrapped) {
	t.Helper()
	if got, err := key.Unwrap(t.Context(), w, bucket); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%s does not open: %v", w.KEK, err)
	}
}

// What the alias named before is opened by that key, where it is configured beside it.
func TestAnAliasMayMove(t *testing.T) {
	s := newFake(t)
	first, second := s.CreateKey("", ""), s.CreateKey("", "")
	s.Alias("alias/photos", first)
	running := open(t, "awskms://alias/photos")
	old := wrap(t, running)
	if old.KEK != "awskms:#"+first {
		t.Errorf("the KEK is %q", old.KEK)
	}
	s.Alias("alias/photos", second)
	if kek, err := running.Current(t.Context()); err != nil || kek != "awskms:#"+second {
		t.Errorf("current: %q, %v", kek, err)
	}
	if w := wrap(t, running); w.KEK != "awskms:#"+second {
		t.Errorf("the KEK is %q", w.KEK)
	}
	before := open(t, "awskms:///"+first)
	opens(t, before, old)
	asked := s.Calls("Decrypt")
	for _, key := range []kms.Key{running, open(t, "awskms://alias/photos"), open(t, "awskms:///arn:aws:kms:eu-west-1:111122223333:alias/photos")} {
		if got, err := key.Unwrap(t.Context(), old, bucket); !errors.Is(err, kms.ErrInvalid) || got != nil || !strings.Contains(err.Error(), "--kms-read") {
			t.Errorf("the alias opens what its former key has made: %v", err)
		}
		if _, err := key.(kms.Rewrapper).Rewrap(t.Context(), key, old, bucket, bucket); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("the alias re-wraps what its former key has made: %v", err)
		}
	}
	if s.Calls("Decrypt") != asked || s.Calls("ReEncrypt") != 0 {
		t.Error("KMS was asked to open it")
	}
	fresh, err := running.(kms.Rewrapper).Rewrap(t.Context(), before, old, bucket, bucket)
	if err != nil || fresh.KEK != "awskms:#"+second {
		t.Fatalf("re-wrapped by %q: %v", fresh.KEK, err)
	}
	s.SetState(first, "")
	opens(t, open(t, "awskms://alias/photos"), fresh)
	if s.Calls("ReEncrypt") != 1 {
		t.Errorf("%d calls of ReEncrypt", s.Calls("ReEncrypt"))
	}
}

func TestKeysOfOneIdInTwoRegionsAreOne(t *testing.T) {
	s := newFake(t)
	here, there := s.CreateMultiRegionKey("eu-west-1", "us-east-2")
	opens(t, open(t, "awskms:///"+there), wrap(t, open(t, "awskms:///"+here)))
	opens(t, open(t, "awskms:///"+here), wrap(t, open(t, "awskms:///"+there)))
}

func TestAKeyOfAnotherAccountIsNamedByItsARN(t *testing.T) {
	s := newFake(t)
	foreign := s.CreateKey("444455556666", "ap-south-1")
	key := open(t, "awskms:///"+foreign)
	opens(t, key, wrap(t, key))
}

func TestAKeyThatIsNamedByItsARNNeedsNoMoreThanDecryptToUnwrap(t *testing.T) {
	s := newFake(t)
	arn := s.CreateKey("", "")
	w := wrap(t, open(t, "awskms:///"+arn))
	for _, operation := range []string{"DescribeKey", "Encrypt", "ReEncrypt"} {
		s.Deny(operation)
	}
	key := open(t, "awskms:///"+arn)
	opens(t, key, w)
	if kek, err := key.(kms.Namer).Named(t.Context(), ""); kek != w.KEK || err != nil {
		t.Errorf("it is called %q, %v", kek, err)
	}
}

func TestAFormerKeyOfAnAliasIsGone(t *testing.T) {
	s := newFake(t)
	first, second := s.CreateKey("", ""), s.CreateKey("", "")
	s.Alias("alias/photos", first)
	key := open(t, "awskms://alias/photos")
	w := wrap(t, key)
	s.Alias("alias/photos", second)
	fresh := wrap(t, key)
	s.SetState(first, "")
	before := open(t, "awskms:///"+first)
	_, err := before.Unwrap(t.Context(), w, bucket)
	want(t, err, kms.ErrNotFound, first, "Decrypt: NotFoundException")
	_, err = key.(kms.Rewrapper).Rewrap(t.Context(), before, w, bucket, bucket)
	want(t, err, kms.ErrNotFound, first+" to alias/photos: ReEncrypt")
	s.Alias("alias/photos", first) // which is no more
	_, err = key.(kms.Rewrapper).Rewrap(t.Context(), open(t, "awskms:///"+second), fresh, bucket, bucket)
	want(t, err, kms.ErrNotFound, second+" to alias/photos: ReEncrypt", "Key '"+first+"' does not exist")
}

// The store names the key of an object; it must not be able to name one of its operator.
func TestAForeignKeyInAName(t *testing.T) {
	s := newFake(t)
	own, sibling, foreign := s.CreateKey("", ""), s.CreateKey("", ""), s.CreateKey("444455556666", "")
	s.Alias("alias/photos", own)
	for _, c := range []struct {
		configured, maker string
	}{
		{"awskms:///" + own, sibling}, {"awskms:///" + own, foreign}, {"awskms://alias/photos", foreign}, {"awskms://alias/photos", sibling},
	} {
		forged := wrap(t, open(t, "awskms:///"+c.maker))
		key := open(t, c.configured)
		before := s.Calls("Decrypt")
		if got, err := key.Unwrap(t.Context(), forged, bucket); !errors.Is(err, kms.ErrInvalid) || got != nil {
			t.Errorf("%s opens what %s has made: %v", c.configured, c.maker, err)
		}
		if s.Calls("Decrypt") != before {
			t.Errorf("%s: KMS was asked to open with %s", c.configured, c.maker)
		}
	}
	forged := wrap(t, open(t, "awskms:///"+foreign))
	key := open(t, "awskms:///"+own)
	if _, err := key.(kms.Rewrapper).Rewrap(t.Context(), key, forged, bucket, bucket); !errors.Is(err, kms.ErrInvalid) || s.Calls("ReEncrypt") != 0 {
		t.Errorf("re-wrapped what a foreign key has made: %v", err)
	}
}

// Another replica may have written under the key that the alias means now.
func TestAnAliasThatMovedIsLookedUpAgain(t *testing.T) {
	s := newFake(t)
	first, second := s.CreateKey("", ""), s.CreateKey("", "")
	s.Alias("alias/photos", first)
	reader := open(t, "awskms://alias/photos")
	opens(t, reader, wrap(t, open(t, "awskms://alias/photos")))
	s.Alias("alias/photos", second)
	time.Sleep(time.Second)
	opens(t, reader, wrap(t, open(t, "awskms:///"+second)))
}

func TestURIs(t *testing.T) {
	newFake(t)
	const arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	for text, good := range map[string]bool{
		"awskms://alias/photos": true, "awskms://alias/team/photos": true, "awskms:///1234abcd-12ab-34cd-56ef-1234567890ab": true,
		"awskms:///" + arn: true, "awskms:///" + arn + "?region=eu-west-1": true, "awskms://alias/photos?region=eu-west-1&endpoint=http%3A%2F%2F127.0.0.1%3A1": true,
		"awskms://": false, "awskms:///": false, "awskms://alias": false, "awskms://alias/": false, "awskms://photos": false, "awskms://photos/x": false,
		"awskms:///" + arn + "?region=us-east-1": false, "awskms:///arn:aws:s3:::photos": false, "awskms://alias/photos?key=x": false, "awskms://alias/photos?region=": false,
		"awskms://me@alias/photos": false, "awskms://alias/photos#1": false, "awskms:alias/photos": false, "awskms://alias/photos?profile=does-not-exist": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := awskms.Opener(t.Context(), u); good != (err == nil) {
			t.Errorf("%s: %v", text, err)
		}
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	u, _ := url.Parse("awskms://alias/photos")
	if _, err := awskms.Opener(t.Context(), u); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
}

func TestKMSMayHaveAProfileOfItsOwn(t *testing.T) {
	s := newFake(t)
	arn := s.CreateKey("", "")
	s.Alias("alias/photos", arn)
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("[profile kms]\nregion = %s\naws_access_key_id = %s\naws_secret_access_key = %s\n", fakekms.Region, fakekms.AccessKeyID, fakekms.SecretAccessKey)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_ACCESS_KEY_ID", "of-the-store")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-the-store")
	t.Setenv("AWS_REGION", "us-east-1")
	if err := open(t, "awskms://alias/photos?profile=kms&region=eu-west-1").Check(t.Context()); err != nil {
		t.Error(err)
	}
}

package awskms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// An emulator that shares nothing with fakekms answers the same. The suite itself is too
// strict for it: it takes the contexts a=bc and ab=c for the same, and leaves a blob's
// header unauthenticated.
func TestOnLocalKMS(t *testing.T) {
	server := lab.NewLocalKMS(t)
	for name, value := range server.Environment() {
		t.Setenv(name, value)
	}
	admin := server.Admin()
	first, second := server.CreateKey(t), server.CreateKey(t)
	server.Alias(t, "alias/photos", first)
	alias, byARN := open(t, "awskms://alias/photos"), open(t, "awskms:///"+second)
	photos, record := kms.Context{"bucket": "photos"}, kms.Context{"bucket": "photos", "id": "00112233"}
	secret := strings.Repeat("k", 32)

	wrap := func(t *testing.T, key kms.Key, c kms.Context, maker string) kms.Wrapped {
		t.Helper()
		w, err := key.Wrap(t.Context(), []byte(secret), c)
		if err != nil || w.KEK != "awskms:#"+maker || strings.Contains(string(w.Blob), secret) {
			t.Fatalf("Wrap: %q, %v, wanted the key %s", w.KEK, err, maker)
		}
		return w
	}
	unwrap := func(t *testing.T, key kms.Key, w kms.Wrapped, c kms.Context, want error) {
		t.Helper()
		got, err := key.Unwrap(t.Context(), w, c)
		if !errors.Is(err, want) || want == nil && string(got) != secret {
			t.Errorf("Unwrap: %q, %v, wanted %v", got, err, want)
		}
	}

	old := wrap(t, alias, photos, first)
	t.Run("A key opens what it wrapped in its context alone", func(t *testing.T) {
		unwrap(t, alias, old, photos, nil)
		for _, c := range []kms.Context{nil, {"bucket": "other"}, {"bucket": "photos", "id": "1"}, {"Bucket": "photos"}} {
			unwrap(t, alias, old, c, kms.ErrInvalid)
		}
		unwrap(t, byARN, old, photos, kms.ErrInvalid)
		swapped := kms.Wrapped{KEK: old.KEK, Blob: append([]byte(nil), old.Blob...)}
		swapped.Blob[len(swapped.Blob)-1] ^= 1
		unwrap(t, alias, swapped, photos, kms.ErrInvalid)
	})
	t.Run("An alias moves and its blobs are re-encrypted", func(t *testing.T) {
		server.Alias(t, "alias/photos", second)
		if now, err := alias.Current(t.Context()); err != nil || now != "awskms:#"+second {
			t.Errorf("Current: %q, %v", now, err)
		}
		unwrap(t, alias, wrap(t, alias, photos, second), photos, nil)
		unwrap(t, alias, old, photos, kms.ErrInvalid)
		before := open(t, "awskms:///"+first)
		unwrap(t, before, old, photos, nil)
		moved, err := alias.(kms.Rewrapper).Rewrap(t.Context(), before, old, photos, record)
		if err != nil || moved.KEK != "awskms:#"+second {
			t.Fatalf("Rewrap: %q, %v", moved.KEK, err)
		}
		unwrap(t, byARN, moved, record, nil)
		unwrap(t, byARN, moved, photos, kms.ErrInvalid)
		if _, err := alias.(kms.Rewrapper).Rewrap(t.Context(), before, old, record, record); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("Rewrap out of another context: %v", err)
		}
		if err := alias.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	})
	t.Run("The states of a key are told apart", func(t *testing.T) {
		key := server.CreateKey(t)
		byARN := open(t, "awskms:///"+key)
		w := wrap(t, byARN, photos, key)
		is := func(what string, want error) {
			t.Helper()
			_, wrapping := byARN.Wrap(t.Context(), []byte(secret), photos)
			_, unwrapping := byARN.Unwrap(t.Context(), w, photos)
			_, asking := byARN.Current(t.Context())
			for doing, err := range map[string]error{"Wrap": wrapping, "Unwrap": unwrapping, "Current": asking, "Check": byARN.Check(t.Context())} {
				if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), what) {
					t.Errorf("%s of a key that is %s: %v", doing, what, err)
				}
			}
		}
		is("enabled", nil)
		do := func(_ any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		do(admin.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &key}))
		is("disabled", kms.ErrNotFound)
		do(admin.EnableKey(t.Context(), &awskms.EnableKeyInput{KeyId: &key}))
		is("enabled", nil)
		do(admin.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(7)}))
		is("pending deletion", kms.ErrNotFound)
		do(admin.CancelKeyDeletion(t.Context(), &awskms.CancelKeyDeletionInput{KeyId: &key}))
		do(admin.EnableKey(t.Context(), &awskms.EnableKeyInput{KeyId: &key}))
		is("enabled", nil)
	})
	t.Run("Keys that cannot serve are refused", func(t *testing.T) {
		made, err := admin.CreateKey(t.Context(), &awskms.CreateKeyInput{KeySpec: types.KeySpecRsa2048, KeyUsage: types.KeyUsageTypeEncryptDecrypt})
		if err != nil {
			t.Fatal(err)
		}
		if err := open(t, "awskms:///"+*made.KeyMetadata.Arn).Check(t.Context()); !errors.Is(err, kms.ErrDenied) || !strings.Contains(err.Error(), "RSA_2048") {
			t.Errorf("an asymmetric key: %v", err)
		}
		none := open(t, "awskms://alias/none")
		if _, err := none.Wrap(t.Context(), []byte(secret), photos); !errors.Is(err, kms.ErrNotFound) {
			t.Errorf("no alias: %v", err)
		}
		if err := none.Check(t.Context()); !errors.Is(err, kms.ErrNotFound) {
			t.Errorf("no alias: %v", err)
		}
	})
}

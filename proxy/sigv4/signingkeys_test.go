package sigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// signed is a request that aws-sdk-go-v2 has signed.
func signed(t *testing.T, id, secret, region string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://proxy.test/bucket/key", nil)
	if err := NewSigner(region).Sign(context.Background(), r, aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, UnsignedPayload, at); err != nil {
		t.Fatal(err)
	}
	return r
}

// as claims another scope or access key than a request was signed with.
func as(r *http.Request, id, region string, at time.Time) *http.Request {
	h, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s", algorithm, id, credential{date: at.Format("20060102"), region: region}.scope(), h.signature))
	r.Header.Set("X-Amz-Date", at.Format(timeFormat))
	return r
}

func TestASecretThatWasChangedOrTakenAwayCountsNoMore(t *testing.T) {
	secrets := map[string]string{"client": "old"}
	v := &Verifier{Secret: func(id string) (string, bool) { s, ok := secrets[id]; return s, ok }}
	verify := func(secret string) error {
		_, err := v.Verify(signed(t, "client", secret, "us-east-1", time.Now().UTC()))
		return err
	}
	for range 2 { // the second time with the key that was kept
		if err := verify("old"); err != nil {
			t.Fatal(err)
		}
	}
	secrets["client"] = "new"
	if err := verify("old"); !errors.Is(err, s3err.SignatureDoesNotMatch) {
		t.Error("the old secret:", err)
	}
	for range 2 {
		if err := verify("new"); err != nil {
			t.Error("the new secret:", err)
		}
	}
	delete(secrets, "client")
	if err := verify("new"); !errors.Is(err, s3err.InvalidAccessKeyId) {
		t.Error("a client that was removed:", err)
	}
}

func TestTheKeyOfAnotherClientDayOrRegionIsAnother(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC)
	yesterday := now.Add(-10 * time.Minute)
	v := &Verifier{Now: func() time.Time { return now }, Secret: func(id string) (string, bool) { return "secret of " + id, true }}
	places := []struct {
		id, region string
		at         time.Time
	}{{"a", "us-east-1", now}, {"a", "eu-west-1", now}, {"a", "us-east-1", yesterday}, {"b", "us-east-1", now}}
	for range 2 {
		for i, p := range places {
			if _, err := v.Verify(signed(t, p.id, "secret of "+p.id, p.region, p.at)); err != nil {
				t.Errorf("%d: %v", i, err)
			}
			for j, other := range places {
				if _, err := v.Verify(as(signed(t, p.id, "secret of "+p.id, p.region, p.at), other.id, other.region, other.at)); i != j && !errors.Is(err, s3err.SignatureDoesNotMatch) {
					t.Errorf("%d as %d: %v", i, j, err)
				}
			}
		}
	}
	if n := v.keys.keys.Len(); n != len(places) {
		t.Errorf("%d keys are kept", n)
	}
}

func TestKeysOfWrongSignaturesAreNotKeptAndOthersAreBounded(t *testing.T) {
	v := &Verifier{Secret: func(string) (string, bool) { return "secret", true }}
	now := time.Now().UTC()
	for _, secret := range []string{"guessed", "secret"} {
		for n := range keptKeys + 10 {
			_, _ = v.Verify(signed(t, "client", secret, fmt.Sprint("region-", n), now))
		}
		switch {
		case secret == "guessed" && v.keys.keys != nil:
			t.Fatal("keys of wrong signatures are kept")
		case secret == "secret" && v.keys.keys.Len() != keptKeys:
			t.Fatalf("%d keys are kept, not %d", v.keys.keys.Len(), keptKeys)
		}
	}
	long := strings.Repeat("r", longestRegion+1)
	if _, err := v.Verify(signed(t, "client", "secret", long, now)); err != nil {
		t.Fatal(err)
	}
	for _, kept := range v.keys.keys.Keys() {
		if kept.region == long {
			t.Error("the key of a region with a long name is kept")
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v := &Verifier{Secret: func(string) (string, bool) { return "secret", true }}
	r := httptest.NewRequest(http.MethodGet, "http://proxy.test/bucket/key", nil)
	if err := NewSigner("us-east-1").Sign(context.Background(), r, aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}, UnsignedPayload, time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

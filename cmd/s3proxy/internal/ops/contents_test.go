package ops

import (
	"strings"
	"testing"
	"time"
)

func TestVerifyNamesWhatIsDamagedAndWhatIsNotEncrypted(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	for _, key := range []string{"good", "damaged"} {
		l.put(l.client, key, "content", nil)
	}
	header, raw := l.get(l.store, "damaged")
	l.put(l.store, "damaged", string([]byte{raw[0] ^ 1})+raw[1:], metadata(header))
	l.put(l.store, "plain", "content", nil)
	verify := &Verify{Job: l.job(), Target: Target{Bucket: l.name}, Sample: 1}
	found, err := verify.Run(t.Context())
	if err != nil || found.Objects != 3 || found.Plain != 1 || len(found.Bad) != 2 || found.Bad[Item{Key: "damaged"}] == "" || found.Bad[Item{Key: "plain"}] == "" || len(found.Failures()) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	l.plaintext = true
	if found, err := verify.Run(t.Context()); err != nil || len(found.Bad) != 1 || found.Plain != 1 {
		t.Errorf("with plaintext reads: %+v, %v", found, err)
	}
	verify.Prefix = "go"
	if found := must(l, verify); found.Objects != 1 || found.Records != 0 {
		t.Errorf("below a prefix: %+v", found)
	}
	l.passthrough = true
	if _, err := verify.Run(t.Context()); err == nil {
		t.Error("a bucket without encryption was verified")
	}
}

func TestWhatIsNotEncryptedIsEncryptedInPlace(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "encrypted", "content", nil)
	l.put(l.store, "plain", "content", nil)
	l.put(l.store, "folder/", "", nil)
	encrypt := &EncryptExisting{Job: l.job(), Target: Target{Bucket: l.name}}
	encrypt.DryRun = true
	if found := must(l, encrypt); found.Rewritten.Rewritten != 2 || found.Rewritten.Done != 1 || found.Done {
		t.Errorf("dry run: %+v", found)
	}
	encrypt.DryRun = false
	if found := must(l, encrypt); found.Rewritten.Rewritten != 2 || !found.Done {
		t.Errorf("encrypted: %+v %+v", found, found.Rewritten)
	}
	if _, raw := l.get(l.store, "plain"); strings.Contains(raw, "content") {
		t.Error("the store has plaintext still")
	}
	if _, body := l.get(l.client, "plain"); body != "content" {
		t.Errorf("it reads as %q", body)
	}
	if found := must(l, &Verify{Job: l.job(), Target: Target{Bucket: l.name}, Sample: 1}); found.Objects != 3 {
		t.Errorf("verified: %+v", found)
	}
	l.passthrough = true
	if _, err := encrypt.Run(t.Context()); err == nil {
		t.Error("a bucket without encryption was encrypted")
	}
}

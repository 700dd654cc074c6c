package keys

import (
	"encoding/base64"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// The test checks what the other tests assume about their Vault.
func TestTheLabsVaultBehavesAsTheTestsAssume(t *testing.T) {
	t.Parallel()
	v := lab.NewVault(t)
	v.CreateKey(t, "photos")
	bytes := base64.StdEncoding.EncodeToString
	made := v.Must(t, "POST", "transit/encrypt/photos", map[string]any{"plaintext": bytes([]byte("plain")), "associated_data": bytes([]byte("one"))})
	decrypt := func(with string) (int, map[string]any) {
		return v.Do(t, "POST", "transit/decrypt/photos", map[string]any{"ciphertext": made["ciphertext"], "associated_data": bytes([]byte(with))})
	}
	if status, _ := decrypt("two"); status != 400 {
		t.Errorf("with other associated data: status %d", status)
	}
	v.Seal(t)
	if status, _ := decrypt("one"); status != 503 {
		t.Errorf("sealed: status %d", status)
	}
	v.Stop()
	v.Restart(t)
	if status, data := decrypt("one"); status != 200 || data["plaintext"] != bytes([]byte("plain")) {
		t.Errorf("started again: status %d, %v", status, data)
	}
}

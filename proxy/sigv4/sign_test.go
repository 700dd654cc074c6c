package sigv4

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestAStoresNewSecretSignsAtOnce(t *testing.T) {
	s := NewSigner("us-east-1")
	v := &Verifier{Secret: func(string) (string, bool) { return "new", true }}
	for _, secret := range []string{"old", "new"} {
		r, err := http.NewRequest(http.MethodGet, "http://store.test/bucket/key", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sign(t.Context(), r, aws.Credentials{AccessKeyID: "proxy", SecretAccessKey: secret}, UnsignedPayload, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(r); (err == nil) != (secret == "new") {
			t.Errorf("signed with the %s secret: %v", secret, err)
		}
	}
}

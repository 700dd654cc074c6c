package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// MinIOUser makes a MinIO user who may do only what a policy allows. It returns the variables with
// which a program acts as this user: a session of the administrator, limited by the policy.
//
// https://docs.min.io/enterprise/aistor-object-store/developers/security-token-service/assumerole/
func MinIOUser(t testing.TB, s *Store, policy string) (env []string) {
	t.Helper()
	form := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "Policy": {policy}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	as := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), as, req, hexSHA256(form), "sts", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		ID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
		Error  string `xml:"Error>Message"`
	}
	if err := xml.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("MinIO made no user: %d %q (%v)", resp.StatusCode, answer.Error, err)
	}
	return []string{"AWS_ACCESS_KEY_ID=" + answer.ID, "AWS_SECRET_ACCESS_KEY=" + answer.Secret, "AWS_SESSION_TOKEN=" + answer.Token}
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

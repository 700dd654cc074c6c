package sigv4

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestASignatureOfVersion2IsBoto3s(t *testing.T) {
	raw, err := os.ReadFile("testdata/v2/boto3.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Method, URL, Bucket, Token, Authorization string
		Headers                                   map[string]string
	}
	if err := json.Unmarshal(raw, &golden); err != nil || len(golden) < 300 {
		t.Fatalf("%d requests, %v", len(golden), err)
	}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	for _, g := range golden {
		r, err := http.NewRequest(g.Method, g.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range g.Headers {
			r.Header.Set(name, value)
		}
		creds.SessionToken = g.Token
		if err := SignV2(r, g.Bucket, AWSV2, creds, at); err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("Authorization"); got != g.Authorization {
			t.Errorf("%s %s with %v: %s, want %s", g.Method, g.URL, g.Headers, got, g.Authorization)
		}
	}
}

// What we sign is what we accept.
func TestAVerifierTakesASignatureOfVersion2(t *testing.T) {
	v := v2Verifier(exampleTime)
	r, _ := http.NewRequest("PUT", "http://johnsmith.s3.amazonaws.com/a%20key?partNumber=1&uploadId=u", nil)
	r.Header.Set("X-Amz-Meta-A", "b")
	if err := SignV2(r, "johnsmith", AWSV2, aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}, exampleTime); err != nil {
		t.Fatal(err)
	}
	if auth, err := v.Verify(r); err != nil || auth.AccessKeyID != exampleID {
		t.Errorf("%+v, %v", auth, err)
	}
	r.Header.Set("X-Amz-Meta-A", "c")
	if _, err := v.Verify(r); err == nil {
		t.Error("a header was changed")
	}
}

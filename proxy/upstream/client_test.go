package upstream

import (
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
)

func newClient(t *testing.T, endpoint string) *Client {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Endpoint: u, Region: "us-east-1", Payload: PayloadChecked, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnEndpointIsAnHTTPURL(t *testing.T) {
	for _, bad := range []string{"", "s3.example.com", "ftp://s3.example.com", "http://"} {
		u, err := url.Parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Endpoint: u}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

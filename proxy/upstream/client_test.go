package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/proxy/s3err"
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

func TestWhatHasNoEffectIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method   string
		attempts int
		answers  []int // the last one again and again
		asked    int
		ends     int // 200, or the refusal's status
	}{
		"a busy store":                     {"GET", 3, []int{503, 500, 200}, 3, 200},
		"a busy store, by HEAD":            {"HEAD", 3, []int{429, 200}, 2, 200},
		"a store that stays busy":          {"GET", 2, []int{503}, 2, 503},
		"a store that cuts":                {"GET", 3, []int{0, 200}, 2, 200},
		"a refusal for good":               {"GET", 3, []int{404}, 1, 404},
		"what is not implemented":          {"GET", 3, []int{501}, 1, 501},
		"a write":                          {"PUT", 3, []int{503}, 1, 503},
		"a proxy with a client of its own": {"GET", 0, []int{503}, 1, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				status := c.answers[min(asked, len(c.answers)-1)]
				if asked++; status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(status)
			}))
			defer server.Close()
			client := newClient(t, server.URL)
			client.cfg.Attempts = c.attempts
			resp, err := client.Do(t.Context(), &Request{Method: c.method, Bucket: someBucket, Key: someKey})
			ends := http.StatusOK
			var refused *s3err.Error
			if errors.As(err, &refused) {
				ends = refused.Status
			} else if err != nil {
				t.Fatal(err)
			} else {
				resp.Body.Close()
			}
			if asked != c.asked || ends != c.ends {
				t.Errorf("asked %d times, wanted %d; ended with %d (%v)", asked, c.asked, ends, err)
			}
		})
	}
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	client := newClient(t, server.URL)
	client.cfg.Attempts = 100
	if _, err := client.Do(ctx, &Request{Method: http.MethodGet, Bucket: someBucket}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
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

func TestAStoreWithoutTLSIsToldFromOneThatIsAway(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client := newClient(t, strings.Replace(server.URL, "http:", "https:", 1))
	_, err := client.Do(t.Context(), &Request{Method: http.MethodGet, Bucket: someBucket})
	if !errors.Is(err, ErrNoAnswer) || !errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), someBucket.String()) {
		t.Error(err)
	}
}

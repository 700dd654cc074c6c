package tracing

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestEachAttemptAtAStoreIsASpanThatCounts(t *testing.T) {
	k := keep(t)
	asked := 0
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer store.Close()
	endpoint, err := url.Parse(store.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{
		Endpoint: endpoint, Region: "us-east-1", Payload: upstream.PayloadChecked, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Attempts: 3, RetryBudget: 10, Wrap: k.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := k.tracer.Start(t.Context(), "parent")
	resp, err := client.Do(ctx, &upstream.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	span.End()
	var counts []string
	for _, s := range k.spans(t) {
		if s.Name == http.MethodGet {
			counts = append(counts, of(s, "http.request.resend_count")+" "+of(s, "http.response.status_code"))
		}
	}
	if len(counts) != 3 || counts[0] != " 503" || counts[1] != "1 503" || counts[2] != "2 200" {
		t.Errorf("%q", counts)
	}
}

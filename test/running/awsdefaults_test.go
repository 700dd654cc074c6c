package running

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestTheStoreThatAWSToolsUseIsTheUpstream(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	uri, _ := lab.NewKeyset(t)
	for _, store := range lab.SharedStores(t) {
		at := []string{"AWS_ENDPOINT_URL_S3=" + store.URL, "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + store.SecretKey, "AWS_REGION=us-east-1"}
		proxy := lab.Proxy(t, lab.ProxyOptions{Env: at, Args: []string{"--kms", uri}})
		bucket := s3test.NewBucket(t, proxy.S3())
		s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
		if a := (s3test.Call{Method: "HEAD", Path: "/" + bucket + "/k"}).Do(t, store.S3()); a.Status != 200 {
			t.Errorf("the store holds %v", a)
		}
		if !strings.Contains(proxy.Log(), store.URL+" (from AWS_ENDPOINT_URL_S3)") {
			t.Errorf("the start does not say where the store's address comes from:\n%s", proxy.Log())
		}
		lab.MustNotStart(t, lab.ProxyOptions{Env: at}, true, "AWS_ENDPOINT_URL_S3", "--kms", "--upstream ''")
		// The proxy has an embedded store, whose buckets would seem to be gone.
		embedded := lab.Proxy(t, lab.ProxyOptions{})
		lab.MustNotStart(t, lab.ProxyOptions{DataDir: embedded.DataDir, Env: at, Args: []string{"--kms", uri}}, true, "AWS_ENDPOINT_URL_S3", embedded.DataDir, "--upstream ''")
	}
}

func TestAMachineSetUpForAWSStillStartsWithTheEmbeddedStore(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for name, o := range map[string]lab.ProxyOptions{
		"a region":                   {Env: []string{"AWS_REGION=eu-central-1", "AWS_PROFILE=none", "AWS_CA_BUNDLE=/nonexistent"}},
		"an endpoint that is not it": {Env: []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}, Args: []string{"--upstream", ""}},
	} {
		proxy := lab.Proxy(t, o)
		s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 1000)
		if !strings.Contains(proxy.Log(), "encrypts everything in the store in "+proxy.DataDir) {
			t.Errorf("%s:\n%s", name, proxy.Log())
		}
	}
	// The endpoint for the clients of the proxy is not the store of the proxy.
	address := lab.FreeAddress(t)
	proxy := lab.Proxy(t, lab.ProxyOptions{Address: address, Env: []string{"AWS_ENDPOINT_URL_S3=http://" + address}})
	s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 1000)
}

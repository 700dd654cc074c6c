package running

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestEveryWayToSendABodyToTheStoreWorks(t *testing.T) {
	for _, store := range lab.SharedStores(t) {
		for _, payload := range []string{"checked", "signed", "unsigned"} {
			t.Run(payload+" to "+store.Name, func(t *testing.T) {
				proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-payload", payload}})
				bucket := s3test.NewBucket(t, proxy.S3())
				for _, n := range []int{0, 100, 70_000, 3_000_000} {
					s3test.RoundTrip(t, proxy.S3(), bucket, n)
				}
				out := s3test.MustGet(t, proxy.S3(), bucket, "k", s3test.Content(3_000_000, 3_000_000))
				if got := aws.ToString(out.ContentEncoding); got != "x-own" {
					t.Errorf("content encoding %q, want x-own", got)
				}
			})
		}
	}
}

func TestTheUpstreamIsReachedThroughTheProxyOfTheEnvironment(t *testing.T) {
	store := lab.SharedMinIO(t)
	target, _ := url.Parse(store.URL)
	seen := make(chan string, 100)
	forward := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		seen <- r.In.URL.Host
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
	}})
	t.Cleanup(forward.Close)
	// The host does not exist: only the forward proxy can know the way.
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: "http://store.invalid", Env: []string{"HTTP_PROXY=" + forward.URL, "http_proxy=" + forward.URL, "NO_PROXY=", "no_proxy="}})
	s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 1000)
	if host := <-seen; host != "store.invalid" {
		t.Errorf("the proxy was asked for %q", host)
	}
}

func TestAnUpstreamOverTLSIsVerifiedByTheSystemsOrTheGivenCertificates(t *testing.T) {
	store := lab.SharedMinIO(t)
	secure := httptest.NewTLSServer(lab.WayTo(t, store))
	t.Cleanup(secure.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: secure.URL, Env: []string{"SSL_CERT_FILE=" + authority}})
	bucket := s3test.NewBucket(t, trusting.S3())
	for _, n := range []int{1000, 3_000_000} {
		s3test.RoundTrip(t, trusting.S3(), bucket, n)
	}
	wary := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: secure.URL})
	if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/k"}).Do(t, wary.S3()); a.Status != 503 {
		t.Errorf("a certificate of nobody: %v", a)
	}
}

func TestClientsSignForTheProxysRegionAndTheStoreSeesItsOwn(t *testing.T) {
	for _, store := range lab.SharedStores(t) {
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--region", "eu-central-1"}})
		client := s3.NewFromConfig(aws.Config{}, func(o *s3.Options) {
			o.BaseEndpoint, o.UsePathStyle, o.Region = &proxy.URL, true, "eu-central-1"
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: lab.ClientAccessKey, SecretAccessKey: lab.ClientSecretKey}, nil
			})
		})
		bucket := "regional-bucket"
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-central-1"}}); err != nil {
			t.Fatal(err)
		}
		location, err := client.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: &bucket})
		if err != nil || location.LocationConstraint != "eu-central-1" {
			t.Errorf("location: %+v, %v", location, err)
		}
		head, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket})
		if err != nil || aws.ToString(head.BucketRegion) != "eu-central-1" {
			t.Errorf("head: %+v, %v", head, err)
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket, Region: "us-east-1"}).Do(t, proxy.S3()); a.Status != 400 || !strings.Contains(string(a.Body), "AuthorizationHeaderMalformed") || !strings.Contains(string(a.Body), "eu-central-1") {
			t.Errorf("another region: %v", a)
		}
		if _, err := client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
			t.Error(err)
		}
	}
}

func TestUpstreamCredentialsAreFoundAsTheSDKsDo(t *testing.T) {
	store := lab.SharedVersitygw(t)
	shared := filepath.Join(t.TempDir(), "credentials")
	text := "[backup]\naws_access_key_id = " + store.AccessKey + "\naws_secret_access_key = " + store.SecretKey + "\n"
	if err := os.WriteFile(shared, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: []string{
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SHARED_CREDENTIALS_FILE=" + shared, "AWS_PROFILE=backup",
	}})
	s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 1000)
}

func TestTheAdminAddressTellsHealthAndReadiness(t *testing.T) {
	address := lab.FreeAddress(t)
	lab.Proxy(t, lab.ProxyOptions{Args: []string{"--admin-listen", address}})
	for _, path := range []string{"/healthz", "/readyz", "/debug/pprof/"} {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestUnsignedRequestsAreRefusedUnlessTheStoreShallJudge(t *testing.T) {
	store := lab.SharedMinIO(t)
	deny := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
	judged := lab.Proxy(t, lab.ProxyOptions{Upstream: store, DataDir: deny.DataDir, Args: []string{"--anonymous", "store"}})
	public, private := s3test.NewBucket(t, deny.S3()), s3test.NewBucket(t, deny.S3())
	for _, bucket := range []string{public, private} {
		s3test.RoundTrip(t, deny.S3(), bucket, 1000)
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + public + `/*"}]}`
	if _, err := s3test.SDK(t, store.S3()).PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &public, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	get := func(at lab.S3, bucket string) s3test.Answer {
		return s3test.Call{Method: "GET", Path: "/" + bucket + "/k", Unsigned: true}.Do(t, at)
	}
	if a := get(deny.S3(), public); a.Status != 403 {
		t.Errorf("unsigned at a proxy that denies: %v", a)
	}
	if a := get(judged.S3(), private); a.Status != 403 {
		t.Errorf("unsigned for a private bucket: %v", a)
	}
	if a := get(judged.S3(), public); a.Status != 200 || !bytes.Equal(a.Body, s3test.Content(1000, 1000)) {
		t.Errorf("unsigned for a public bucket: %v", a)
	}
}

func TestTheEmbeddedStoreWorksWithoutExtendedAttributes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "metadata"), 0o700); err != nil { // as on a file system without extended attributes
		t.Fatal(err)
	}
	proxy := lab.Proxy(t, lab.ProxyOptions{DataDir: dir})
	bucket := s3test.NewBucket(t, proxy.S3())
	s3test.RoundTrip(t, proxy.S3(), bucket, 100_000)
	proxy.Term()
	proxy.Wait(lab.AnswerWithin)
	again := lab.Proxy(t, lab.ProxyOptions{DataDir: dir})
	s3test.MustGet(t, again.S3(), bucket, "k", s3test.Content(100_000, 100_000))
}

func TestARecordThatWasWrappedAgainOpensWhatTheOldKeyWrote(t *testing.T) {
	store := lab.SharedVersitygw(t)
	oldURI, oldPath := lab.NewKeyset(t)
	newURI, newPath := lab.NewKeyset(t)
	writer := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", oldURI}})
	bucket := s3test.NewBucket(t, writer.S3())
	s3test.RoundTrip(t, writer.S3(), bucket, 100_000)

	// With both keys, reads go on.
	both := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", newURI, "--kms-read", oldURI}})
	s3test.MustGet(t, both.S3(), bucket, "k", s3test.Content(100_000, 100_000))
	// With only the new key, they are refused.
	alone := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", newURI}})
	if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/k"}).Do(t, alone.S3()); a.Status != 500 {
		t.Errorf("without the key: %v", a)
	}

	rewrapRecord(t, store, bucket, bucket, oldPath, newPath)
	s3test.MustGet(t, alone.S3(), bucket, "k", s3test.Content(100_000, 100_000))
}

// rewrapRecord wraps the only window record in a bucket under another key, as a rotation does;
// origin is the bucket that the record is bound to.
func rewrapRecord(t *testing.T, store *lab.Store, bucket, origin, oldPath, newPath string) {
	t.Helper()
	rewrapRecordAt(t, store, bucket, ".s3proxy/keys/", origin, oldPath, newPath)
}

func rewrapRecordAt(t *testing.T, store *lab.Store, bucket, folder, origin, oldPath, newPath string) {
	t.Helper()
	raw := s3test.SDK(t, store.S3())
	list, err := raw.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &folder})
	if err != nil || len(list.Contents) != 1 {
		t.Fatalf("%d records, want the one of the one window: %v", len(list.Contents), err)
	}
	record := list.Contents[0].Key
	out, err := raw.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: record})
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Format  int    `json:"format"`
		KEK     string `json:"kek"`
		Wrapped []byte `json:"wrapped"`
	}
	if err := json.NewDecoder(out.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	first := kms.Context{"bucket": origin} // a new record has the form used in metadata
	bound := kms.Context{"bucket": origin, "id": strings.TrimPrefix(*record, folder)}
	from, err := localfile.Open(oldPath)
	if err != nil {
		t.Fatal(err)
	}
	to, err := localfile.Open(newPath)
	if err != nil {
		t.Fatal(err)
	}
	key, err := from.Unwrap(t.Context(), kms.Wrapped{KEK: body.KEK, Blob: body.Wrapped}, first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := to.Wrap(t.Context(), key, bound)
	if err != nil {
		t.Fatal(err)
	}
	body.KEK, body.Wrapped = again.KEK, again.Blob
	doc, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: record, Body: bytes.NewReader(doc)}); err != nil {
		t.Fatal(err)
	}
}

package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDefaultsOfTheStoreAreThoseOfEveryAWSTool(t *testing.T) {
	profiles := `[default]
region = eu-west-3
endpoint_url = https://of-the-profile
ca_bundle = /of-the-profile.pem
[profile named]
region = eu-west-2
services = those
[services those]
s3 =
  endpoint_url = https://of-the-service
`
	for _, c := range []struct {
		name                           string
		env                            map[string]string
		profiles                       string
		args                           []string
		upstream, from, region, bundle string
	}{
		{name: "nothing", region: "us-east-1"},
		{name: "a region alone is no store", env: map[string]string{"AWS_REGION": "eu-central-1"}, region: "eu-central-1"},
		{name: "the older name", env: map[string]string{"AWS_DEFAULT_REGION": "eu-central-1"}, region: "eu-central-1"},
		{name: "both names", env: map[string]string{"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-central-1"}, region: "eu-north-1"},
		{name: "the flag", env: map[string]string{"AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL_S3": "https://e", "AWS_CA_BUNDLE": "/b"},
			args: []string{"--upstream", "https://u", "--upstream-region", "r", "--upstream-ca", "/c"}, upstream: "https://u", region: "r", bundle: "/c"},
		{name: "an endpoint", env: map[string]string{"AWS_ENDPOINT_URL": "https://e"}, upstream: "https://e", from: "AWS_ENDPOINT_URL", region: "us-east-1"},
		{name: "an endpoint for S3", env: map[string]string{"AWS_ENDPOINT_URL": "https://e", "AWS_ENDPOINT_URL_S3": "https://s"}, upstream: "https://s", from: "AWS_ENDPOINT_URL_S3", region: "us-east-1"},
		{name: "an endpoint to be ignored", env: map[string]string{"AWS_ENDPOINT_URL": "https://e", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, region: "us-east-1"},
		{name: "the embedded store all the same", env: map[string]string{"AWS_ENDPOINT_URL": "https://e"}, args: []string{"--upstream", ""}, region: "us-east-1"},
		{name: "this proxy as the clients' endpoint", env: map[string]string{"AWS_ENDPOINT_URL_S3": "http://localhost:8080"}, region: "us-east-1"},
		{name: "a profile", profiles: profiles, upstream: "https://of-the-profile", from: "endpoint_url of the AWS profile default", region: "eu-west-3", bundle: "/of-the-profile.pem"},
		{name: "a named profile", profiles: profiles, env: map[string]string{"AWS_PROFILE": "named"}, upstream: "https://of-the-service", from: "endpoint_url of the AWS profile named", region: "eu-west-2"},
		{name: "a profile and the environment", profiles: profiles, env: map[string]string{"AWS_PROFILE": "named", "AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "https://e"},
			upstream: "https://e", from: "AWS_ENDPOINT_URL", region: "eu-north-1"},
		{name: "a profile that is not there", env: map[string]string{"AWS_PROFILE": "none"}, region: "us-east-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			if c.profiles != "" {
				t.Setenv("AWS_CONFIG_FILE", write(t, filepath.Join(t.TempDir(), "config"), strings.ReplaceAll(c.profiles, "/of-the-profile.pem", authority(t))))
			}
			got, err := load(t, "", append(c.args, "--kms", "localfile:///k")...)
			if err != nil {
				t.Fatal(err)
			}
			if c.bundle == "/of-the-profile.pem" {
				c.bundle = authority(t)
			}
			if got.Upstream != c.upstream || got.UpstreamFrom != c.from || got.UpstreamRegion != c.region || got.UpstreamCA != c.bundle || (got.UpstreamURL == nil) != (c.upstream == "") {
				t.Errorf("upstream %q (%s), region %q, CA %q", got.Upstream, got.UpstreamFrom, got.UpstreamRegion, got.UpstreamCA)
			}
		})
	}
}

// authority is a file that AWS's SDK takes for a bundle of certificates.
func authority(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnUpstreamOfAWSNeedsAKeyAndSaysWhoNamedIt(t *testing.T) {
	clean(t)
	t.Setenv("AWS_ENDPOINT_URL_S3", "https://store.example.com")
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckKeys(); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_S3") || !strings.Contains(err.Error(), "--upstream ''") {
		t.Errorf("without a key: %v", err)
	}
}

func TestVersion2OfSignaturesMeansUnsignedBodies(t *testing.T) {
	base := Config{Upstream: "https://d", UpstreamPayload: "checked", UpstreamSignature: "v4"}
	for _, c := range []struct{ of, bucket, payload, want string }{
		{"v4", "", "", "checked"}, {"v4", "v2", "", "unsigned"}, {"v2", "", "", "unsigned"}, {"v2", "v4", "", "checked"}, {"v2", "v4", "signed", "signed"},
	} {
		base.UpstreamSignature = c.of
		if got := base.UpstreamOf(Upstream{Signature: c.bucket, Payload: c.payload}); got.Payload != c.want {
			t.Errorf("%+v gives %s", c, got.Payload)
		}
	}
}

func TestWhatABucketsStoreLeavesOutIsTheDefaultStores(t *testing.T) {
	base := Config{Upstream: "https://d", UpstreamRegion: "r", UpstreamPayload: "checked", UpstreamAddressing: "auto", UpstreamCert: "/c", UpstreamKey: "/k"}
	verified, insecure := base, base
	verified.UpstreamCA, insecure.UpstreamInsecure = "/ca", true
	for _, c := range []struct {
		of       Config
		set      Upstream
		ca       string
		insecure bool
	}{
		{verified, Upstream{}, "/ca", false},
		{verified, Upstream{URL: "https://o", CA: "/own"}, "/own", false},
		{verified, Upstream{URL: "https://o"}, "/ca", false},
		{verified, Upstream{URL: "https://o", Insecure: true}, "", true},
		{insecure, Upstream{Region: "other"}, "", true},
		{insecure, Upstream{URL: "https://o"}, "", false}, // another store is verified
		{insecure, Upstream{CA: "/own"}, "/own", false},
	} {
		got := c.of.UpstreamOf(c.set)
		if got.CA != c.ca || got.Insecure != c.insecure || got.Cert != "/c" || got.Key != "/k" || got.URL == "" || got.Region == "" {
			t.Errorf("%+v gives %+v", c.set, got)
		}
	}
}

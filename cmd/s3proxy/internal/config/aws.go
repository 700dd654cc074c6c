package config

import (
	"cmp"
	"context"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

const defaultRegion = "us-east-1"

// takeAWSDefaults fills in of the default store what no setting of ours says, from what every
// AWS tool reads: the environment and the shared files. It leaves out what these hold wrongly: a
// proxy with a store of its own must not fail for them, and who uses them later says what is
// wrong.
func (c *Config) takeAWSDefaults() {
	defaults, err := awsconfig.LoadDefaultConfig(context.Background())
	if err != nil {
		defaults = aws.Config{}
	}
	if !c.Given("upstream") {
		c.takeAWSEndpoint(&defaults)
	}
	c.UpstreamRegion = cmp.Or(c.UpstreamRegion, defaults.Region, defaultRegion)
	if c.UpstreamCA == "" && !c.UpstreamInsecure {
		// As for the SDKs, the variable beats the profile.
		c.UpstreamCA = os.Getenv("AWS_CA_BUNDLE")
		for _, source := range defaults.ConfigSources {
			if shared, ok := source.(awsconfig.SharedConfig); ok {
				c.UpstreamCA = cmp.Or(c.UpstreamCA, shared.CustomCABundle)
			}
		}
	}
}

// takeAWSEndpoint makes the endpoint for S3 that AWS tools use the upstream. One that is this
// proxy's own address is for its clients.
func (c *Config) takeAWSEndpoint(defaults *aws.Config) {
	endpoint, from := awsEndpoint(defaults)
	u, err := url.Parse(endpoint)
	if endpoint == "" || err == nil && sameAddress(u, cmp.Or(c.Listen, defaultListen)) {
		return
	}
	c.Upstream, c.UpstreamFrom = endpoint, from
}

// awsEndpoint gives the endpoint for S3, and what names it: AWS_ENDPOINT_URL_S3 beats
// AWS_ENDPOINT_URL, which beats the profile.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
func awsEndpoint(defaults *aws.Config) (endpoint, from string) {
	ignore, _, err := awsconfig.GetIgnoreConfiguredEndpoints(context.Background(), defaults.ConfigSources)
	if ignore || err != nil {
		return "", ""
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if endpoint := os.Getenv(name); endpoint != "" {
			return endpoint, name
		}
	}
	for _, source := range defaults.ConfigSources {
		if shared, ok := source.(awsconfig.SharedConfig); ok {
			endpoint, _, _ = shared.GetServiceBaseEndpoint(context.Background(), "S3")
			return cmp.Or(endpoint, shared.BaseEndpoint), "endpoint_url of the AWS profile " + shared.Profile
		}
	}
	return "", ""
}

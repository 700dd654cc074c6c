package config

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/state"
)

// domainName is a host's name without a port. Addresses do not match: they have no subdomains.
var domainName = regexp.MustCompile(`^(?i)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?$`)

// validate checks the settings as a whole, and fills in what follows from them.
func (c *Config) validate() error {
	for _, check := range []func() error{
		c.checkListens, c.validateAddresses, c.validateChoices, c.validateNumbers, c.validateUpstreamLimits, c.validateLimits, c.validateListenerTLS, c.validateSources, c.validateBuckets, c.validateForward, c.validateOwnKey, c.validateAuth, c.resolvePaths,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateAddresses() error {
	if c.Upstream != "" {
		u, err := c.checkUpstream(c.Upstream)
		if err != nil && c.UpstreamFrom != "" {
			return Usagef("%s: %w (--upstream '' stays with the embedded store)", c.UpstreamFrom, err)
		}
		if err != nil {
			return err
		}
		c.UpstreamURL = u
	} else if !c.hasUpstreams() {
		for _, name := range []string{"upstream-region", "upstream-ca", "upstream-cert", "upstream-key", "upstream-insecure", "upstream-signature", "upstream-access-key-id", "upstream-secret-access-key-file"} {
			if c.Given(name) {
				return Usagef("%s is set but upstream is not: the embedded store has none", name)
			}
		}
	}
	if err := c.checkTLSIsUsed(); err != nil {
		return err
	}
	if err := checkTLS("upstream-", c.UpstreamCA, c.UpstreamCert, c.UpstreamKey, c.UpstreamInsecure); err != nil {
		return err
	}
	if (c.UpstreamAccessKeyID == "") != (c.UpstreamSecretFile == "") {
		return Usagef("upstream-access-key-id and upstream-secret-access-key-file go together: only one is set")
	}
	if c.Listen != "" && c.Listen == c.AdminListen {
		return Usagef("listen and admin-listen are the same address, %s", c.Listen)
	}
	return nil
}

// validateChoices checks the settings with a fixed set of values, and the names of hosts.
func (c *Config) validateChoices() error {
	for name, value := range map[string]string{
		"auth": c.Auth, "auth-v2": c.AuthV2, "anonymous": c.Anonymous, "etag": c.ETag, "range-check": c.RangeCheck, "sse": c.SSE, "cors": c.CORS, "tls-client-auth": c.TLSClientAuth,
		"upstream-addressing": c.UpstreamAddressing, "upstream-payload": c.UpstreamPayload, "upstream-signature": c.UpstreamSignature,
		"log-level": c.LogLevel, "log-format": c.LogFormat,
	} {
		if of := Choices(name); value != "" && !slices.Contains(of, value) {
			return Usagef("%s: %q is not one of %s", name, value, strings.Join(of, ", "))
		}
	}
	if c.UpstreamSignature == signatureV2 && c.Given("upstream-payload") && c.UpstreamPayload != payloadUnsigned {
		return Usagef("upstream-payload is %s, but upstream-signature v2 knows unsigned bodies alone: remove it", c.UpstreamPayload)
	}
	for _, domain := range c.Domains {
		if !domainName.MatchString(domain) {
			return Usagef("domain: %q is not a name such as s3.example.com", domain)
		}
	}
	return nil
}

func (c *Config) validateNumbers() error {
	if c.MaxConnections < 1 && c.Given("max-connections") {
		return Usagef("max-connections must be at least 1")
	}
	if c.KeyWindow < 0 || c.KeyWindowObjects < 0 || c.DrainTimeout < 0 || c.ShutdownDelay < 0 || c.StoreUnreadyAfter < 0 || c.MetricsBuckets < 0 {
		return Usagef("key-window, key-window-objects, drain-timeout, shutdown-delay, store-unready-after and metrics-buckets cannot be negative")
	}
	if c.KeyWindow > 24*time.Hour {
		return Usagef("key-window must be at most 24h, so that a rotated key is not used for longer")
	}
	if c.KeyWindow == 0 && c.Given("key-window") && c.KeyWindowObjects > 0 && c.Given("key-window-objects") {
		return Usagef("key-window is 0 (no window keys) but key-window-objects is %d", c.KeyWindowObjects)
	}
	return nil
}

// validateSources checks where keys, credentials and the proxy's own objects are.
func (c *Config) validateSources() error {
	if slices.Contains(c.KMSRead, c.KMS) && c.KMS != "" {
		return Usagef("kms-read names the same key as kms: %s", c.KMS)
	}
	if c.Credentials != "" && c.inline {
		return Usagef("credentials: the configuration file %s holds a list, and the setting names the file %s: use only one of them", c.Path, c.Credentials)
	}
	var err error
	if c.State, err = state.NewPlace(c.StateBucket, c.StatePrefix); err != nil {
		return Usagef("state-bucket, state-prefix: %w", err)
	}
	return nil
}

// validateAuth refuses a proxy without authentication where others than this machine reach it, and
// settings of clients that it would not look at.
func (c *Config) validateAuth() error {
	switch {
	case c.Auth != AuthNone && c.AuthNoneAnywhere:
		return Usagef("auth-none-anywhere is set but auth is not none")
	case c.Auth != AuthNone:
		return nil
	case c.Listen != "" && !OnLoopback(c.Listen) && !c.AuthNoneAnywhere:
		return Usagef("auth is none, and other machines reach %s: everybody there could read and delete everything. Listen on 127.0.0.1, or say that this is meant by --auth-none-anywhere", c.Listen)
	case c.hasCredentials():
		return Usagef("auth is none, so the credentials of clients have no effect: remove them")
	case c.Given("auth-v2"):
		return Usagef("auth is none, so auth-v2 has no effect: remove it")
	case c.Anonymous == "store":
		return Usagef("auth is none and anonymous is store: one of them judges unsigned requests")
	}
	return nil
}

// validateOwnKey checks the client's key in the environment.
func (c *Config) validateOwnKey() error {
	if (os.Getenv(EnvAccessKey) == "") != (os.Getenv(EnvSecretKey) == "") {
		return Usagef("set both %s and %s, or neither: only one is set", EnvAccessKey, EnvSecretKey)
	}
	return nil
}

// resolvePaths makes paths absolute: messages show them, and other processes get them.
func (c *Config) resolvePaths() error {
	if c.DataDir == "" {
		c.DataDir, c.noDataDir = userDataDir()
	}
	for _, path := range []*string{&c.DataDir, &c.Path, &c.Credentials, &c.UpstreamCA, &c.UpstreamCert, &c.UpstreamKey, &c.UpstreamSecretFile, &c.InterceptCACert, &c.InterceptCAKey} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return Usagef("%s: %w", *path, err)
		}
		*path = abs
	}
	return nil
}

// checkUpstream reads the URL of a store.
func (c *Config) checkUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return nil, Usagef("upstream: this is not a URL such as https://s3.example.com, or it has more than an address")
	}
	if c.Listen != "" && sameAddress(u, c.Listen) {
		return nil, Usagef("upstream and listen are the same address, %s: s3proxy would call itself", u.Host)
	}
	return u, nil
}

// OnLoopback tells whether only this machine reaches what listens on an address.
func OnLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// checkTLSIsUsed refuses settings of TLS where no store is reached over it.
func (c *Config) checkTLSIsUsed() error {
	if c.UpstreamURL != nil && c.UpstreamURL.Scheme == "https" {
		return nil
	}
	for _, set := range c.Buckets {
		if strings.HasPrefix(set.Upstream.URL, "https:") {
			return nil
		}
	}
	for _, name := range []string{"upstream-ca", "upstream-cert", "upstream-key", "upstream-insecure"} {
		if c.Given(name) && c.UpstreamURL != nil {
			return Usagef("%s is set, but the upstream %s is not https", name, c.Upstream)
		}
	}
	return nil
}

// checkTLS refuses settings of TLS that contradict each other.
func checkTLS(prefix, ca, cert, key string, insecure bool) error {
	if insecure && ca != "" {
		return Usagef("%[1]sinsecure and %[1]sca exclude each other: a certificate is verified or it is not", prefix)
	}
	if (cert == "") != (key == "") {
		return Usagef("%[1]scert and %[1]skey go together: only one is set", prefix)
	}
	return nil
}

// sameAddress tells whether the upstream's URL is the address that we listen on.
func sameAddress(u *url.URL, listen string) bool {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || u.Port() != port {
		return false
	}
	loopback := func(h string) bool {
		ip := net.ParseIP(h)
		return h == "localhost" || h == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
	}
	return host == u.Hostname() || loopback(host) && loopback(u.Hostname())
}

package config

import (
	"cmp"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// Config holds every setting of every command, checked. Load makes it.
type Config struct {
	Listen                 string        `koanf:"listen"`
	PlaintextListen        bool          `koanf:"plaintext-listen"`
	TLSCert                string        `koanf:"tls-cert"`
	TLSKey                 string        `koanf:"tls-key"`
	TLSClientCA            string        `koanf:"tls-client-ca"`
	TLSClientAuth          string        `koanf:"tls-client-auth"`
	AdminListen            string        `koanf:"admin-listen"`
	AdminTokenFile         string        `koanf:"admin-token-file"`
	MetricsListen          string        `koanf:"metrics-listen"`
	AuditLog               string        `koanf:"audit-log"`
	MetricsBuckets         int           `koanf:"metrics-buckets"`
	DataDir                string        `koanf:"data-dir"`
	Upstream               string        `koanf:"upstream"`
	UpstreamRegion         string        `koanf:"upstream-region"`
	UpstreamPayload        string        `koanf:"upstream-payload"`
	UpstreamSignature      string        `koanf:"upstream-signature"`
	UpstreamAddressing     string        `koanf:"upstream-addressing"`
	UpstreamCA             string        `koanf:"upstream-ca"`
	UpstreamCert           string        `koanf:"upstream-cert"`
	UpstreamKey            string        `koanf:"upstream-key"`
	UpstreamInsecure       bool          `koanf:"upstream-insecure"`
	UpstreamAccessKeyID    string        `koanf:"upstream-access-key-id"`
	UpstreamSecretFile     string        `koanf:"upstream-secret-access-key-file"`
	UpstreamAttempts       int           `koanf:"upstream-attempts"`
	UpstreamRetryBudget    int           `koanf:"upstream-retry-budget"`
	UpstreamConnectTimeout time.Duration `koanf:"upstream-connect-timeout"`
	UpstreamAnswerTimeout  time.Duration `koanf:"upstream-answer-timeout"`
	UpstreamStallTimeout   time.Duration `koanf:"upstream-stall-timeout"`
	KMSTimeout             time.Duration `koanf:"kms-timeout"`
	MaxConnections         int           `koanf:"max-connections"`
	MaxRequests            int           `koanf:"max-requests"`
	ClientMaxRequests      int           `koanf:"client-max-requests"`
	ClientRate             float64       `koanf:"client-rate"`
	ClientBurst            int           `koanf:"client-burst"`
	HeaderTimeout          time.Duration `koanf:"header-timeout"`
	IdleTimeout            time.Duration `koanf:"idle-timeout"`
	Region                 string        `koanf:"region"`
	Domains                []string      `koanf:"domain"`
	ForwardProxy           bool          `koanf:"forward-proxy"`
	ForwardHosts           []string      `koanf:"forward-host"`
	ConnectHosts           []string      `koanf:"connect-host"`
	MaxTunnels             int           `koanf:"max-tunnels"`
	Intercept              bool          `koanf:"intercept"`
	InterceptCACert        string        `koanf:"intercept-ca-cert"`
	InterceptCAKey         string        `koanf:"intercept-ca-key"`
	KMS                    string        `koanf:"kms"`
	KMSRead                []string      `koanf:"kms-read"`
	KeyWindow              time.Duration `koanf:"key-window"`
	KeyWindowObjects       int           `koanf:"key-window-objects"`
	Auth                   string        `koanf:"auth"`
	AuthV2                 string        `koanf:"auth-v2"`
	AuthNoneAnywhere       bool          `koanf:"auth-none-anywhere"`
	Anonymous              string        `koanf:"anonymous"`
	ETag                   string        `koanf:"etag"`
	RangeCheck             string        `koanf:"range-check"`
	SSE                    string        `koanf:"sse"`
	CORS                   string        `koanf:"cors"`
	AllowPlaintextReads    bool          `koanf:"allow-plaintext-reads"`
	DrainTimeout           time.Duration `koanf:"drain-timeout"`
	ShutdownDelay          time.Duration `koanf:"shutdown-delay"`
	StoreUnreadyAfter      time.Duration `koanf:"store-unready-after"`
	StateBucket            string        `koanf:"state-bucket"`
	StatePrefix            string        `koanf:"state-prefix"`
	BucketAlias            []string      `koanf:"bucket-alias"`
	Credentials            string        `koanf:"credentials"`
	LogLevel               string        `koanf:"log-level"`
	LogFormat              string        `koanf:"log-format"`

	UpstreamURL  *url.URL          `koanf:"-"` // of Upstream; nil: the embedded store
	UpstreamFrom string            `koanf:"-"` // what of AWS's settings names Upstream; "": one of ours
	Forward      *forward.Hosts    `koanf:"-"` // of ForwardProxy; nil without it
	State        state.Place       `koanf:"-"`
	Buckets      map[string]Bucket `koanf:"-"` // by their exact names
	Path         string            `koanf:"-"` // of the configuration file, "" for none

	inline bool                // the file holds the clients' credentials itself
	set    map[string]struct{} // names that were given somewhere

	noDataDir error // why DataDir is ""
}

// hasCredentials tells whether a file, a folder or the environment names clients' credentials.
func (c *Config) hasCredentials() bool {
	return c.Credentials != "" || c.inline || len(inEnvironment()) > 0
}

// Given tells whether a flag, the environment or the file set a setting, rather than its
// default.
func (c *Config) Given(name string) bool {
	_, ok := c.set[name]
	return ok
}

// NeedDataDir gives a [UsageError] if there is no data folder. Whoever uses it asks: where
// everything has a place of its own, none is needed.
func (c *Config) NeedDataDir() error {
	if c.DataDir == "" {
		return Usagef("set data-dir: the user has no data folder: %w", c.noDataDir)
	}
	return nil
}

// KeysetPath is the key file that s3proxy makes and uses where no other key is named.
func (c *Config) KeysetPath() string { return filepath.Join(c.DataDir, "keyset.json") }

// SomeRegion is a region that clients may sign for.
func (c *Config) SomeRegion() string { return cmp.Or(c.Region, defaultRegion) }

// DefaultKMS is the default of --kms, where it has one.
func (c *Config) DefaultKMS() string {
	return (&url.URL{Scheme: localfile.Scheme, Path: c.KeysetPath()}).String()
}

// userDataDir follows the XDG Base Directory Specification.
func userDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "s3proxy"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "s3proxy"), nil
}

// SecretFiles gives the paths of the files that hold secrets: key files, and those with
// clients' credentials or a passphrase. Some may be "", where there is no such file.
func (c *Config) SecretFiles() ([]string, error) {
	files := []string{c.Path, c.Credentials, c.UpstreamKey, c.UpstreamSecretFile, c.TLSKey, c.InterceptCAKey, os.Getenv(localfile.EnvPassphraseFile)}
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(c.Buckets))...) {
		files = append(files, c.Buckets[name].Upstream.Key, c.Buckets[name].Upstream.Credentials.SecretFile, c.Buckets[name].LegacyKeyFile)
		write, read, err := c.KeyURIs(name)
		if err != nil {
			return nil, InBucket(name, err)
		}
		for _, uri := range append(read, write) {
			if u, err := url.Parse(uri); err == nil && u.Scheme == localfile.Scheme {
				files = append(files, u.Path)
			}
		}
	}
	return files, nil
}

package main

import (
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy"
)

// config is every setting of every command, by its one name.
type config struct {
	Listen              string        `koanf:"listen"`
	AdminListen         string        `koanf:"admin-listen"`
	DataDir             string        `koanf:"data-dir"`
	Upstream            string        `koanf:"upstream"`
	UpstreamRegion      string        `koanf:"upstream-region"`
	UpstreamPayload     string        `koanf:"upstream-payload"`
	UpstreamAddressing  string        `koanf:"upstream-addressing"`
	MaxConnections      int           `koanf:"max-connections"`
	Region              string        `koanf:"region"`
	Domains             []string      `koanf:"domain"`
	KMS                 string        `koanf:"kms"`
	KMSRead             []string      `koanf:"kms-read"`
	KeyWindow           time.Duration `koanf:"key-window"`
	KeyWindowObjects    int           `koanf:"key-window-objects"`
	Anonymous           string        `koanf:"anonymous"`
	ETag                string        `koanf:"etag"`
	RangeCheck          string        `koanf:"range-check"`
	SSE                 string        `koanf:"sse"`
	AllowPlaintextReads bool          `koanf:"allow-plaintext-reads"`
	DrainTimeout        time.Duration `koanf:"drain-timeout"`
	StateBucket         string        `koanf:"state-bucket"`
	StatePrefix         string        `koanf:"state-prefix"`
	BucketAlias         []string      `koanf:"bucket-alias"`
	Credentials         string        `koanf:"credentials"`
	LogLevel            string        `koanf:"log-level"`
	LogFormat           string        `koanf:"log-format"`

	upstreamURL *url.URL // nil: the embedded store
	state       proxy.StatePlace
	buckets     map[string]bucketSettings // by their exact names
	path        string                    // of the configuration file, "" for none
	inline      bool                      // it holds the clients' credentials itself
	set         map[string]struct{}       // names that were given somewhere
}

// hasCredentials tells whether a file names clients' credentials.
func (c *config) hasCredentials() bool { return c.Credentials != "" || c.inline }

func (c *config) given(name string) bool {
	_, ok := c.set[name]
	return ok
}

func (c *config) keysetPath() string { return filepath.Join(c.DataDir, "keyset.json") }

// keysetURI is the default of --kms.
func (c *config) keysetURI() string {
	return (&url.URL{Scheme: localfile.Scheme, Path: c.keysetPath()}).String()
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

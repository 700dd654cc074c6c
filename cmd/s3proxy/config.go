package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/kms/vault"
	"github.com/s3proxy/s3proxy/proxy"
)

// envPrefix begins the environment's spelling of every setting.
const envPrefix = "S3PROXY_"

// The client's keys come from the environment only: a secret has no place on a
// command line, and the file is often world-readable.
const (
	envAccessKey = envPrefix + "ACCESS_KEY_ID"
	envSecretKey = envPrefix + "SECRET_ACCESS_KEY"
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

// domainName is a host's name without a port; no address, for nothing is below one.
var domainName = regexp.MustCompile(`^(?i)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?$`)

const (
	defaultListen      = "127.0.0.1:8080"
	defaultAdminListen = "127.0.0.1:6060"
)

// storeFlags are the settings that say where objects are and under which keys;
// every command that touches a store has them.
func storeFlags(f *pflag.FlagSet) {
	f.String("config", "", "YAML `file` with these settings, by the same names")
	f.String("data-dir", "", "`folder` of the embedded store, the keyset and the client's credentials (default: s3proxy in the user's data folder)")
	f.String("upstream", "", "`URL` of the store; none: a store embedded in s3proxy, in the data folder")
	f.String("upstream-region", "us-east-1", "`region` that requests to the store are signed for; credentials are found as the AWS SDKs do")
	f.String("upstream-payload", "checked", "how bodies are streamed to the store: checked (unsigned chunks with a CRC32C), signed (signed chunks), unsigned (for stores that take neither)")
	f.String("upstream-addressing", "auto", "where requests to the store name the bucket: path, virtual (bucket.host), auto (virtual for amazonaws.com over https)")
	f.String("kms", "", "`URI` of the key that wraps new keys: localfile:///path/keyset.json, vault://MOUNT/KEY, awskms://alias/NAME (default, without an upstream: a keyset in the data folder)")
	f.StringSlice("kms-read", nil, "`URI` of a further key that may unwrap; repeatable")
	f.StringSlice("bucket-alias", nil, "`replica=origin`: the bucket is a copy of another, whose name its keys are bound to; repeatable")
	f.String("state-bucket", "", "`bucket` that keeps the proxy's own objects for all buckets of its store; none: each bucket keeps its own")
	f.String("state-prefix", "", "`prefix` in front of the proxy's own objects, .s3proxy/ (where a policy allows one prefix only); it ends in /")
	f.String("log-level", "info", "error, warn, info, debug, or trace (headers of each exchange, secrets masked)")
	f.String("log-format", "text", "text or json")
}

// windowFlags are for the commands that make keys of objects.
func windowFlags(f *pflag.FlagSet) {
	f.Duration("key-window", time.Hour, "how long one window key serves; 0: the KMS wraps the key of each object")
	f.Int("key-window-objects", 100_000, "how many objects one window key serves at most")
}

// plaintextFlag is for the commands to which it matters that a bucket may have objects
// which are not encrypted.
func plaintextFlag(f *pflag.FlagSet) {
	f.Bool("allow-plaintext-reads", false, "serve objects that s3proxy did not write as they are (the store could forge them)")
}

func serveFlags(f *pflag.FlagSet) {
	storeFlags(f)
	f.String("listen", defaultListen, "`address` for S3 clients")
	f.String("admin-listen", defaultAdminListen, "`address` for /healthz, /readyz and pprof; \"\" turns it off")
	f.Int("max-connections", 4096, "how many connections of clients are served at once; further ones wait until one ends")
	f.String("region", "us-east-1", "`region` that clients sign for")
	f.StringSlice("domain", nil, "`name` below which a host is a bucket, as in bucket.name; repeatable. Other hosts have the bucket in the path")
	windowFlags(f)
	f.String("anonymous", "deny", "unsigned requests: deny, or store (sent on unsigned, the store judges)")
	f.String("etag", "opaque", "ETags that clients see: opaque (the store's, never an MD5), or md5 (of the plaintext, as S3 without encryption; LIST and HEAD may cost a further request)")
	f.String("range-check", "end", "what is seen before a range of an object is answered: end (the object's end, with one request to the store more for the first range), or segments (the range alone: parts of an upload that was refused may be read, if the store kept them)")
	f.String("sse", "own", "S3's server-side encryption (SSE-S3, SSE-KMS): own (answered by s3proxy, which encrypts anyway), or store (sent on: the store encrypts once more)")
	plaintextFlag(f)
	f.String("credentials", "", "YAML `file` (mode 0600) with a list of clients' credentials, read again at SIGHUP")
	f.Duration("drain-timeout", 30*time.Second, "how long running requests may take to finish after SIGTERM")
}

// loadConfig reads flags, environment and file, in this order of precedence.
// Every mistake is one line.
func loadConfig(flags *pflag.FlagSet) (*config, error) {
	known := map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) { known[f.Name] = true })

	k := koanf.New("\x00") // no nesting: no setting's name holds this
	c := &config{set: map[string]struct{}{}}
	note := func(names []string) {
		for _, name := range names {
			c.set[name] = struct{}{}
		}
	}

	fromEnv, path := environment(flags)
	if flags.Changed("config") {
		path, _ = flags.GetString("config")
	}
	if path != "" {
		f, err := readConfigFile(path)
		if err != nil {
			return nil, err
		}
		c.path, c.buckets = path, f.Buckets
		if f.Credentials != nil {
			if c.inline = f.Credentials.list != nil; !c.inline {
				f.Settings["credentials"] = f.Credentials.file
			}
		}
		for _, name := range sortedKeys(f.Settings) {
			if name == "config" || !known[name] && !settingNames()[name] {
				return nil, usagef("the configuration file %s: unknown setting %q; known are %s", path, name, strings.Join(append(sortedKeys(known), "buckets"), ", "))
			}
			if _, nested := f.Settings[name].(map[string]any); nested {
				return nil, usagef("the configuration file %s: %s has no settings below it", path, name)
			}
		}
		if err := k.Load(confmap.Provider(f.Settings, ""), nil); err != nil {
			return nil, usagef("the configuration file %s: %s", path, oneLine(err))
		}
		note(k.Keys())
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	if err := k.Load(confmap.Provider(fromEnv, ""), nil); err != nil {
		return nil, usagef("the environment: %w", err)
	}
	note(sortedKeys(fromEnv))
	if err := k.Load(posflag.Provider(flags, "\x00", k), nil); err != nil {
		return nil, usagef("flags: %w", err)
	}
	flags.Visit(func(f *pflag.Flag) { note([]string{f.Name}) })
	for _, name := range sortedKeys(known) {
		if f := flags.Lookup(name); f.Value.Type() != "duration" {
			continue
		}
		if _, err := time.ParseDuration(k.String(name)); err != nil {
			return nil, usagef("%s: %q is no duration such as 90s or 1h", name, k.String(name))
		}
	}
	if err := k.Unmarshal("", c); err != nil {
		return nil, usagef("settings: %s", oneLine(err))
	}
	return c, c.validate()
}

// environment gives the settings of this command that the environment has, and
// the configuration file that it names.
func environment(flags *pflag.FlagSet) (map[string]any, string) {
	values := map[string]any{}
	flags.VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(envName(f.Name))
		if !ok || f.Name == "config" {
			return
		}
		if f.Value.Type() == "stringSlice" {
			values[f.Name] = strings.Split(v, ",")
			return
		}
		values[f.Name] = v
	})
	return values, os.Getenv(envName("config"))
}

func envName(setting string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// checkEnvironment refuses variables with our prefix that mean nothing: a
// misspelt setting must not be silently without effect.
func checkEnvironment() error {
	allowed := map[string]bool{
		envAccessKey: true, envSecretKey: true, envName("config"): true,
		localfile.EnvPassphrase: true, localfile.EnvPassphraseFile: true,
	}
	for _, name := range vault.Variables {
		allowed[name] = true
	}
	for name := range settingNames() {
		allowed[envName(name)] = true
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && !allowed[name] {
			return usagef("the environment variable %s is no setting of s3proxy", name)
		}
	}
	return nil
}

// settingNames are the settings of all commands: one environment and one file
// serve them all.
func settingNames() map[string]bool {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	serveFlags(all)
	names := map[string]bool{}
	all.VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
	return names
}

func (c *config) given(name string) bool {
	_, ok := c.set[name]
	return ok
}

func (c *config) validate() error {
	if c.Upstream != "" {
		u, err := c.checkUpstream(c.Upstream)
		if err != nil {
			return err
		}
		c.upstreamURL = u
	} else if c.given("upstream-region") && !c.hasUpstreams() {
		return usagef("upstream-region is set but upstream is not: the embedded store has no region")
	}
	if c.Listen != "" && c.Listen == c.AdminListen {
		return usagef("listen and admin-listen are the same address, %s", c.Listen)
	}
	for name, choice := range map[string]struct {
		value string
		of    []string
	}{
		"anonymous":           {c.Anonymous, []string{"deny", "store"}},
		"etag":                {c.ETag, etagModes},
		"range-check":         {c.RangeCheck, rangeChecks},
		"sse":                 {c.SSE, sseModes},
		"upstream-addressing": {c.UpstreamAddressing, addressings},
		"upstream-payload":    {c.UpstreamPayload, payloads},
		"log-level":           {c.LogLevel, []string{"error", "warn", "info", "debug", "trace"}},
		"log-format":          {c.LogFormat, []string{"text", "json"}},
	} {
		if choice.value != "" && !slices.Contains(choice.of, choice.value) {
			return usagef("%s: %q is none of %s", name, choice.value, strings.Join(choice.of, ", "))
		}
	}
	for _, domain := range c.Domains {
		if !domainName.MatchString(domain) {
			return usagef("domain: %q is no name such as s3.example.com", domain)
		}
	}
	if c.MaxConnections < 1 && c.given("max-connections") {
		return usagef("max-connections: at least 1")
	}
	if c.KeyWindow < 0 || c.KeyWindowObjects < 0 || c.DrainTimeout < 0 {
		return usagef("key-window, key-window-objects and drain-timeout cannot be negative")
	}
	if c.KeyWindow > 24*time.Hour {
		return usagef("key-window: at most 24h, so that a rotated key is not used for longer")
	}
	if c.KeyWindow == 0 && c.given("key-window") && c.KeyWindowObjects > 0 && c.given("key-window-objects") {
		return usagef("key-window is 0 (no window keys) but key-window-objects is %d", c.KeyWindowObjects)
	}
	if slices.Contains(c.KMSRead, c.KMS) && c.KMS != "" {
		return usagef("kms-read names the key that kms names: %s", c.KMS)
	}
	if c.Credentials != "" && c.inline {
		return usagef("credentials: the configuration file %s holds a list of them, and the setting names the file %s: only one can be", c.path, c.Credentials)
	}
	var err error
	if c.state, err = proxy.NewStatePlace(c.StateBucket, c.StatePrefix); err != nil {
		return usagef("state-bucket, state-prefix: %w", err)
	}
	if err := c.validateBuckets(); err != nil {
		return err
	}
	if (os.Getenv(envAccessKey) == "") != (os.Getenv(envSecretKey) == "") {
		return usagef("%s and %s go together: only one is set", envAccessKey, envSecretKey)
	}
	if c.DataDir == "" {
		dir, err := userDataDir()
		if err != nil {
			return usagef("no data-dir is set and the user has no data folder: %w", err)
		}
		c.DataDir = dir
	}
	// Messages show them, and other processes get them.
	for _, path := range []*string{&c.DataDir, &c.path, &c.Credentials} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return usagef("%s: %w", *path, err)
		}
		*path = abs
	}
	return nil
}

// checkUpstream reads the URL of a store.
func (c *config) checkUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return nil, usagef("upstream: it is no URL such as https://s3.example.com, or holds more than an address")
	}
	if c.Listen != "" && sameAddress(u, c.Listen) {
		return nil, usagef("upstream and listen are the same address, %s: s3proxy would call itself", u.Host)
	}
	return u, nil
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// ensureDir makes a private folder.
func ensureDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make the folder %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no folder")
	}
	if err != nil {
		return fmt.Errorf("the folder %s: %w", path, err)
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

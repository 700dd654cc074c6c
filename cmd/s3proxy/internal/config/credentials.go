package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/s3proxy/s3proxy/internal/secretfile"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// clientKeys are the credentials of clients in the configuration file: a list of
// them, or the path of the file that holds the list.
type clientKeys struct {
	file string
	list []clientKeySettings
}

// clientKeySettings is one credential. Without buckets it may use all of them; their names
// are exact. Without manage it may read and write objects, and create and delete buckets,
// but not change their settings.
type clientKeySettings struct {
	AccessKeyID     string    `yaml:"access-key-id"`
	SecretAccessKey string    `yaml:"secret-access-key"`
	SecretFile      string    `yaml:"secret-access-key-file"`
	Buckets         *[]string `yaml:"buckets"`
	ReadOnly        bool      `yaml:"read-only"`
	Manage          bool      `yaml:"manage"`
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (k *clientKeys) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&k.file)
	}
	// A node does not decode with the strictness of its document's decoder.
	if n.Kind == yaml.SequenceNode {
		for _, entry := range n.Content {
			if err := knownNames(entry); err != nil {
				return err
			}
		}
	}
	return n.Decode(&k.list)
}

func knownNames(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: here must be a credential", n.Line)
	}
	known := yamlNames(clientKeySettings{})
	for i := 0; i < len(n.Content); i += 2 {
		if name := n.Content[i].Value; !slices.Contains(known, name) {
			return fmt.Errorf("line %d: %s is not a setting of a credential%s", n.Content[i].Line, name, DidYouMean("", name, known))
		}
	}
	return nil
}

func (k *clientKeys) holdsSecrets() bool {
	for _, c := range k.list {
		if c.SecretAccessKey != "" {
			return true
		}
	}
	return false
}

// Credentials finds the credential of an access key. It is safe for concurrent use: while a
// SIGHUP replaces the set, a request sees the old one or the new one.
type Credentials struct {
	Own     ClientKey // of the environment or the data folder; its ID is "" if there is none
	current atomic.Pointer[map[string]proxy.Credential]
}

// Find implements proxy.Config.Credential.
func (s *Credentials) Find(id string) (proxy.Credential, bool) {
	if s.Own.ID != "" && id == s.Own.ID {
		return proxy.Credential{Secret: s.Own.Secret, Manage: true}, true
	}
	c, ok := (*s.current.Load())[id]
	return c, ok
}

// LoadCredentials reads all credentials of clients. Without any, it makes one in the data
// folder. An error that the configuration causes is a [UsageError].
func LoadCredentials(c *Config) (*Credentials, error) {
	s := &Credentials{}
	if id := os.Getenv(EnvAccessKey); id != "" || !c.hasCredentials() {
		own, err := loadClientKey(c)
		if err != nil {
			return nil, err
		}
		s.Own = own
	}
	return s, s.reload(c)
}

// reload replaces the credentials of the file; after an error the old ones stay.
func (s *Credentials) reload(c *Config) error {
	found := map[string]proxy.Credential{}
	if c.hasCredentials() {
		list, path, err := readCredentials(c)
		if err != nil {
			return err
		}
		for i, entry := range list {
			credential, err := entry.read()
			if err != nil {
				return Usagef("%s: credential %d: %w", path, i+1, err)
			}
			if _, twice := found[entry.AccessKeyID]; twice || entry.AccessKeyID == s.Own.ID {
				return Usagef("%s: credential %d: the access key %s is used twice (%s counts too)", path, i+1, entry.AccessKeyID, EnvAccessKey)
			}
			found[entry.AccessKeyID] = credential
		}
	}
	s.current.Store(&found)
	return nil
}

// readCredentials reads the list from where the configuration says that it is.
func readCredentials(c *Config) (list []clientKeySettings, path string, err error) {
	if c.Credentials != "" {
		keys := &clientKeys{}
		raw, _, err := secretfile.Read(c.Credentials, maxSecrets)
		if err == nil {
			err = readYAML(raw, keys)
		}
		if err != nil {
			return nil, "", Usagef("the credentials file %s: %w", c.Credentials, err)
		}
		if keys.list == nil {
			return nil, "", Usagef("the credentials file %s does not hold a list of credentials", c.Credentials)
		}
		return keys.list, c.Credentials, nil
	}
	f, err := readConfigFile(c.Path)
	if err != nil {
		return nil, "", err
	}
	if f.Credentials == nil || f.Credentials.list == nil {
		return nil, "", Usagef("the configuration file %s no longer holds a list of credentials", c.Path)
	}
	return f.Credentials.list, c.Path, nil
}

func (k *clientKeySettings) read() (proxy.Credential, error) {
	c := proxy.Credential{Secret: k.SecretAccessKey, ReadOnly: k.ReadOnly, Manage: k.Manage}
	if k.AccessKeyID == "" {
		return c, errors.New("access-key-id is missing")
	}
	if (k.SecretAccessKey == "") == (k.SecretFile == "") {
		return c, errors.New("give either secret-access-key or secret-access-key-file")
	}
	if k.ReadOnly && k.Manage {
		return c, errors.New("read-only and manage exclude each other")
	}
	if k.SecretFile != "" {
		var err error
		if c.Secret, err = readSecretFile(k.SecretFile); err != nil {
			return c, fmt.Errorf("secret-access-key-file: %w", err)
		}
	}
	if k.Buckets != nil {
		c.Buckets = append([]string{}, *k.Buckets...) // an empty list means no bucket, not all
		for _, name := range c.Buckets {
			if err := state.CheckBucketName(name); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// ReloadOnHangup reads the credentials again at each SIGHUP until stop is called. If they
// cannot be used, the old ones stay, and the log says why.
func (s *Credentials) ReloadOnHangup(c *Config, log *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
				if err := s.reload(c); err != nil {
					log.Error("the credentials were not reloaded: the old ones stay valid", "error", err)
				} else {
					log.Info("the credentials were reloaded", "count", len(*s.current.Load()))
				}
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

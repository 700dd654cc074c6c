package config

import (
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"sync/atomic"
	"syscall"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/watch"
	"github.com/s3proxy/s3proxy/proxy"
)

// Credentials finds the credential of an access key. It is safe for concurrent use: while
// the set is replaced, a request sees the old one or the new one.
type Credentials struct {
	Own     ClientKey // of the environment or the data folder; its ID is "" if there is none
	current atomic.Pointer[map[string]proxy.Credential]
	files   []string // that they were read from
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
	if c.Auth == AuthNone {
		s.current.Store(&map[string]proxy.Credential{})
		return s, nil
	}
	if id := os.Getenv(EnvAccessKey); id != "" || !c.hasCredentials() {
		own, err := loadClientKey(c)
		if err != nil {
			return nil, err
		}
		s.Own = own
	}
	_, err := s.reload(c)
	return s, err
}

// reload replaces all credentials but the own one; after an error the old ones stay.
func (s *Credentials) reload(c *Config) (changed bool, err error) {
	all, files, err := c.clients()
	if err != nil {
		return false, err
	}
	s.files = files
	found := map[string]proxy.Credential{}
	for _, one := range all {
		credential, err := one.read()
		if err != nil {
			return false, Usagef("%s: %w", one.where, err)
		}
		if _, twice := found[one.AccessKeyID]; twice || one.AccessKeyID == s.Own.ID {
			return false, Usagef("%s: the access key %s is used twice (%s counts too)", one.where, one.AccessKeyID, EnvAccessKey)
		}
		found[one.AccessKeyID] = credential
	}
	before := s.current.Swap(&found)
	return before == nil || !reflect.DeepEqual(*before, found), nil
}

// Follow reads the credentials again when their files change, and at each SIGHUP, until stop is
// called. If they cannot be used, the old ones stay, and the log says why. told gets what came of
// each reading.
func (s *Credentials) Follow(c *Config, log *slog.Logger, told func(error)) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	files := watch.New(s.files, log)
	go func() {
		wrong := "" // what the log said last
		for {
			asked := false
			select {
			case <-done:
				return
			case <-files.Changed:
			case <-signals:
				asked = true
			}
			changed, err := s.reload(c)
			told(err)
			files.Set(s.files)
			switch {
			case err != nil && (asked || err.Error() != wrong):
				wrong = err.Error()
				log.Error("the credentials were not reloaded: the old ones stay valid", "error", err)
			case err == nil && (asked || changed || wrong != ""):
				wrong = ""
				log.Info("the credentials were reloaded", "count", len(*s.current.Load()))
			}
		}
	}()
	return func() { signal.Stop(signals); close(done); files.Close() }
}

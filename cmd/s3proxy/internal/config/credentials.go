package config

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/watch"
	"github.com/s3proxy/s3proxy/proxy"
)

// Credentials finds the credential of an access key. It is safe for concurrent use: while
// the set is replaced, a request sees the old one or the new one.
type Credentials struct {
	Own     ClientKey // of the environment or the data folder; its ID is "" if there is none
	current atomic.Pointer[clientSet]
	files   []string // that they were read from
}

// clientSet is what was read last.
type clientSet struct {
	keys         map[string]proxy.Credential // by access key id
	certificates map[string]string           // name of a certificate -> access key id
}

// Find implements proxy.Config.Credential.
func (s *Credentials) Find(id string) (proxy.Credential, bool) {
	if s.Own.ID != "" && id == s.Own.ID {
		return proxy.Credential{Secret: s.Own.Secret, Manage: true}, true
	}
	c, ok := s.current.Load().keys[id]
	return c, ok
}

// OfCertificate gives the access key of the client that a verified certificate is for: the one
// whose entry has one of its names. It is "" if no entry has, or if several have: a certificate
// that is for two clients is for neither.
func (s *Credentials) OfCertificate(cert *x509.Certificate) (id string) {
	known := s.current.Load().certificates
	for _, name := range namesOfCertificate(cert) {
		switch found := known[name]; {
		case found == "" || found == id:
		case id != "":
			return ""
		default:
			id = found
		}
	}
	return id
}

// subjectAltName is the extension that holds a certificate's other names, of any kind (RFC 5280, 4.2.1.6).
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// namesOfCertificate are the names that an authority vouches for. The common name counts where
// there is no other, as many private authorities give it (RFC 9525 gave it up for servers, since
// its form is not defined).
func namesOfCertificate(cert *x509.Certificate) []string {
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	if !slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(subjectAltName) }) {
		names = append(names, cert.Subject.CommonName)
	}
	return names
}

// LoadCredentials reads all credentials of clients. Without any, it makes one in the data
// folder. An error that the configuration causes is a [UsageError].
func LoadCredentials(c *Config) (*Credentials, error) {
	s := &Credentials{}
	if c.Auth == AuthNone {
		s.current.Store(&clientSet{})
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
	found := clientSet{keys: map[string]proxy.Credential{}, certificates: map[string]string{}}
	for _, one := range all {
		credential, err := one.read()
		if err != nil {
			return false, Usagef("%s: %w", one.where, err)
		}
		if _, twice := found.keys[one.AccessKeyID]; twice || one.AccessKeyID == s.Own.ID {
			return false, Usagef("%s: the access key %s is used twice (%s counts too)", one.where, one.AccessKeyID, EnvAccessKey)
		}
		found.keys[one.AccessKeyID] = credential
		if one.Certificate == "" {
			continue
		}
		if of := found.certificates[one.Certificate]; of != "" {
			return false, Usagef("%s: the access keys %s and %s have the same certificate, %s", one.where, of, one.AccessKeyID, one.Certificate)
		}
		found.certificates[one.Certificate] = one.AccessKeyID
	}
	before := s.current.Swap(&found)
	return before == nil || !reflect.DeepEqual(*before, found), nil
}

// Follow reads the credentials again when their files change, and at each SIGHUP, until stop is
// called. If they cannot be used, the old ones stay, and the log says why. told gets what came of
// each reading, news what the log is told of it.
func (s *Credentials) Follow(c *Config, log *slog.Logger, told, news func(error)) (stop func()) {
	if c.Auth == AuthNone { // there are none
		return func() {}
	}
	return watch.Follow("the credentials", s.files, func() ([]string, bool, error) {
		changed, err := s.reload(c)
		told(err)
		return s.files, changed, err
	}, news, log)
}

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// leafLife is how long a certificate is valid that an Authority makes. A new one is made
	// when half of it is over.
	leafLife = 24 * time.Hour
	// leafSkew is how far a client's clock may be behind.
	leafSkew = time.Hour
	// maxLeaves bounds the certificates in memory, of about 2 KiB each.
	maxLeaves = 1024
)

// Authority makes certificates for single hosts. It is safe for concurrent use.
type Authority struct {
	certFile, keyFile string
	now               func() time.Time

	mu     sync.Mutex
	ca     *tls.Certificate
	leaves *lru.Cache[string, *tls.Certificate]
}

// NewAuthority reads the certificate of an authority and its key, in PEM.
func NewAuthority(certFile, keyFile string) (*Authority, error) {
	leaves, err := lru.New[string, *tls.Certificate](maxLeaves)
	if err != nil {
		return nil, err
	}
	a := &Authority{certFile: certFile, keyFile: keyFile, now: time.Now, leaves: leaves}
	_, err = a.Reload()
	return a, err
}

// Reload reads the files again. New connections get certificates of what it has read; after an
// error the old ones stay.
func (a *Authority) Reload() (changed bool, err error) {
	pair, err := ReadPair(a.certFile, a.keyFile)
	if err != nil {
		return false, err
	}
	if err := a.check(pair.Leaf); err != nil {
		return false, fmt.Errorf("%s: %w", a.certFile, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed = a.ca == nil || !a.ca.Leaf.Equal(pair.Leaf)
	a.ca = pair
	if changed {
		a.leaves.Purge()
	}
	return changed, nil
}

func (a *Authority) check(ca *x509.Certificate) error {
	switch {
	case !ca.BasicConstraintsValid || !ca.IsCA:
		return errors.New("this is not the certificate of an authority (CA:TRUE)")
	case ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("this authority may not sign certificates (keyCertSign)")
	case a.now().After(ca.NotAfter):
		return fmt.Errorf("the authority has ended on %s", ca.NotAfter.Format(time.DateOnly))
	case a.now().Before(ca.NotBefore):
		return fmt.Errorf("the authority begins on %s", ca.NotBefore.Format(time.DateOnly))
	}
	return nil
}

// Paths are the files that it is read from.
func (a *Authority) Paths() []string { return []string{a.certFile, a.keyFile} }

// Expires is the end of the authority.
func (a *Authority) Expires() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ca.Leaf.NotAfter
}

// Config is for a server that stands in the place of others: host gives the host that a connection
// is for, and no other can be asked for on it.
func (a *Authority) Config(host func(net.Conn) string) *tls.Config {
	conf := secure()
	conf.SessionTicketsDisabled = true // a resumed session would not ask for a certificate
	conf.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		at := host(hello.Conn)
		if name := strings.TrimSuffix(strings.ToLower(hello.ServerName), "."); at == "" || name != "" && name != at {
			return nil, errors.New("the client asks for another host than the connection is for")
		}
		return a.leaf(at)
	}
	return conf
}

// leaf gives a certificate for one host. Nobody waits for one that is made for another.
func (a *Authority) leaf(host string) (*tls.Certificate, error) {
	now := a.now()
	a.mu.Lock()
	ca := a.ca
	known, ok := a.leaves.Get(host)
	a.mu.Unlock()
	if ok && (now.Before(known.Leaf.NotAfter.Add(-leafLife/2)) || known.Leaf.NotAfter.Equal(ca.Leaf.NotAfter) && now.Before(known.Leaf.NotAfter)) {
		return known, nil
	}
	if err := a.check(ca.Leaf); err != nil {
		return nil, err
	}
	made, err := issue(ca, host, now)
	if err != nil {
		return nil, fmt.Errorf("a certificate for %s: %w", host, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ca == ca {
		a.leaves.Add(host, made)
	}
	return made, nil
}

func issue(ca *tls.Certificate, host string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: latest(now.Add(-leafSkew), ca.Leaf.NotBefore), NotAfter: earliest(now.Add(leafLife), ca.Leaf.NotAfter),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		Subject: pkix.Name{Organization: []string{"s3proxy, in the place of a store"}},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, &key.PublicKey, ca.PrivateKey.(crypto.Signer))
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: append([][]byte{der}, ca.Certificate...), PrivateKey: key, Leaf: leaf}, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

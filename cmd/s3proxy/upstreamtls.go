package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// maxPEM bounds a file of certificates or a key, in bytes.
const maxPEM = 4 << 20

// upstreamTLS gives how connections to a store are secured; nil if they are not.
func upstreamTLS(set config.Upstream, endpoint *url.URL) (*tls.Config, error) {
	if endpoint.Scheme != "https" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: set.Insecure}
	if set.CA != "" && !set.Insecure {
		raw, err := os.ReadFile(set.CA)
		if err != nil {
			return nil, fmt.Errorf("the certificates that the store's must be signed by: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("the certificates that the store's must be signed by: %s holds none in PEM", set.CA)
		}
	}
	if set.Cert == "" {
		return conf, nil
	}
	own := &clientCertificate{cert: set.Cert, key: set.Key}
	if _, err := own.get(nil); err != nil {
		return nil, err
	}
	conf.GetClientCertificate = own.get
	return conf, nil
}

// clientCertificate is what the proxy shows to a store. It is read again for each handshake,
// since it is renewed while the proxy runs.
type clientCertificate struct {
	cert, key string
	last      atomic.Pointer[tls.Certificate] // that could be read
}

func (c *clientCertificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := c.read()
	if err == nil {
		c.last.Store(pair)
		return pair, nil
	}
	if last := c.last.Load(); last != nil {
		return last, nil
	}
	return nil, fmt.Errorf("the client certificate for the store: %w", err)
}

func (c *clientCertificate) read() (*tls.Certificate, error) {
	cert, err := os.ReadFile(c.cert)
	if err != nil {
		return nil, err
	}
	key, _, err := secretfile.Read(c.key, maxPEM)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", c.cert, c.key, err)
	}
	return &pair, nil
}

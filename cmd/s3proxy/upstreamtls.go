package main

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/certs"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// upstreamTLS gives how connections to a store are secured; nil if they are not.
func upstreamTLS(set config.Upstream, endpoint *url.URL) (conf *tls.Config, err error) {
	if endpoint.Scheme != "https" {
		return nil, nil
	}
	conf = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: set.Insecure}
	if set.CA != "" && !set.Insecure {
		if conf.RootCAs, err = certs.ReadPool(set.CA); err != nil {
			return nil, fmt.Errorf("the certificates that the store's must be signed by: %w", err)
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
	pair, err := certs.ReadPair(c.cert, c.key)
	if err == nil {
		c.last.Store(pair)
		return pair, nil
	}
	if last := c.last.Load(); last != nil {
		return last, nil
	}
	return nil, fmt.Errorf("the client certificate for the store: %w", err)
}

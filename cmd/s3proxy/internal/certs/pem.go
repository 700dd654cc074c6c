// Package certs reads certificates and keys for TLS from files that are renewed while the
// program runs: those of the clients' listener, and what the proxy shows to a store.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// maxKey bounds a file with a key, in bytes.
const maxKey = 4 << 20

// ReadPair reads a certificate with those that lead to its authority, and its key, in PEM. A key
// that others than the process can use is refused.
func ReadPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	key, _, err := secretfile.Read(keyFile, maxKey)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// ReadPool reads the certificates of authorities, in PEM.
func ReadPool(file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

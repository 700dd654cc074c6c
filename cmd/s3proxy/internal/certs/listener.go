package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// Files are those of a listener.
type Files struct {
	Cert, Key string
	// ClientCA has the authorities of clients' certificates; "": clients are asked for none.
	ClientCA string
	// ClientOptional also lets in clients without a certificate.
	ClientOptional bool
}

// Paths are the files that there are.
func (f Files) Paths() []string {
	paths := []string{f.Cert, f.Key}
	if f.ClientCA != "" {
		paths = append(paths, f.ClientCA)
	}
	return paths
}

// Listener is the TLS of a listener. It is safe for concurrent use.
type Listener struct {
	files   Files
	current atomic.Pointer[tls.Config]
}

// NewListener reads the files.
func NewListener(files Files) (*Listener, error) {
	l := &Listener{files: files}
	_, err := l.Reload()
	return l, err
}

// Reload reads the files again. New connections get what it has read; after an error they get
// what they got before.
func (l *Listener) Reload() (changed bool, err error) {
	pair, err := ReadPair(l.files.Cert, l.files.Key)
	if err != nil {
		return false, fmt.Errorf("the listener's certificate: %w", err)
	}
	conf := secure()
	conf.Certificates = []tls.Certificate{*pair}
	if l.files.ClientCA != "" {
		if conf.ClientCAs, err = ReadPool(l.files.ClientCA); err != nil {
			return false, fmt.Errorf("the authorities of clients' certificates: %w", err)
		}
		conf.ClientAuth = tls.RequireAndVerifyClientCert
		if l.files.ClientOptional {
			conf.ClientAuth = tls.VerifyClientCertIfGiven
		}
		// A resumed session would carry a certificate that was verified by the
		// authorities of its time.
		conf.SessionTicketsDisabled = true
	}
	before := l.current.Swap(conf)
	return before == nil || !reflect.DeepEqual(before.Certificates[0].Certificate, pair.Certificate) || !before.ClientCAs.Equal(conf.ClientCAs), nil
}

// secure allows TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3: what
// RFC 9325 recommends. Go chooses the order, and all of TLS 1.3.
func secure() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{"h2", "http/1.1"},
	}
}

// Config is for a server: each connection gets what was read last.
func (l *Listener) Config() *tls.Config {
	conf := secure()
	conf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.current.Load(), nil }
	return conf
}

// Paths are the files that it is read from.
func (l *Listener) Paths() []string { return l.files.Paths() }

// NameFor gives the host that clients name to reach this address: the address itself if the
// certificate is for it, else the certificate's first name without a wildcard; "" for none.
func (l *Listener) NameFor(host string) string {
	leaf := l.current.Load().Certificates[0].Leaf
	if leaf.VerifyHostname(host) == nil {
		return host
	}
	for _, name := range leaf.DNSNames {
		if !strings.Contains(name, "*") {
			return name
		}
	}
	return ""
}

// Expires is the end of the certificate's validity.
func (l *Listener) Expires() time.Time { return l.current.Load().Certificates[0].Leaf.NotAfter }

// Verify checks a client's certificate, which those that lead to its authority follow, by the
// authorities that were read last.
func (l *Listener) Verify(chain []*x509.Certificate) error {
	options := x509.VerifyOptions{Roots: l.current.Load().ClientCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if options.Roots == nil {
		return errors.New("no authority signs clients' certificates")
	}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(options)
	return err
}

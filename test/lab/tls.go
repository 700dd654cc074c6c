package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	File string // its own certificate
	Pool *x509.CertPool

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{File: filepath.Join(t.TempDir(), "ca.pem"), Pool: x509.NewCertPool()}
	template := certificateOf("authority of a test")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert, a.key = template, newKey(t) // self-signed
	a.cert = a.sign(t, template, a.key, a.File)
	a.Pool.AddCert(a.cert)
	return a
}

// IssueClient writes a client certificate and its key. otherNames, if any, are names besides the
// common one.
func (a *Authority) IssueClient(t testing.TB, commonName string, otherNames []string, certFile, keyFile string) {
	t.Helper()
	template, key := certificateOf(commonName), newKey(t)
	template.DNSNames = otherNames
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	a.sign(t, template, key, certFile)
	writeKey(t, key, keyFile)
}

// Issue writes a certificate for a name and the loopback address, and its key, replacing existing
// files. It serves servers and clients.
func (a *Authority) Issue(t testing.TB, name, certFile, keyFile string) {
	t.Helper()
	template, key := certificateOf(name), newKey(t)
	template.DNSNames, template.IPAddresses = []string{name, "localhost", "*.localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	a.sign(t, template, key, certFile)
	writeKey(t, key, keyFile)
}

func writeKey(t testing.TB, key *ecdsa.PrivateKey, file string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "PRIVATE KEY", der)
}

func (a *Authority) sign(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey, file string) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "CERTIFICATE", der)
	return cert
}

func certificateOf(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// SecureVersitygw starts a versitygw with TLS and a certificate from an authority.
func SecureVersitygw(t testing.TB, by *Authority) *Store {
	t.Helper()
	at := place{t: t}
	dir := at.folder("certs")
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	by.Issue(t, "store.test", cert, key)
	return secured(at, startVersitygw(at, at.folder("versitygw"), []string{"--cert", cert, "--key", key}, nil), by)
}

// SecureMinIO is SecureVersitygw with a MinIO, which also serves its buckets as hosts below
// localhost.
func SecureMinIO(t testing.TB, by *Authority) *Store {
	t.Helper()
	at := place{t: t}
	dir := at.folder("certs")
	by.Issue(t, "store.test", filepath.Join(dir, "public.crt"), filepath.Join(dir, "private.key"))
	return secured(at, startMinIO(at, []string{"--certs-dir", dir}, "MINIO_DOMAIN=localhost"), by)
}

func secured(at place, s *Store, by *Authority) *Store {
	s.URL, s.roots = strings.Replace(s.URL, "http://", "https://", 1), by.Pool
	return await(at, s, "/")
}

// WriteKey writes the authority's own key.
func (a *Authority) WriteKey(t testing.TB, file string) { t.Helper(); writeKey(t, a.key, file) }

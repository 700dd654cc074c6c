package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files writes a certificate that signs itself, and its key.
func files(t *testing.T, template *x509.Certificate) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: "authority"}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func authority(begin, end time.Duration) *x509.Certificate {
	return &x509.Certificate{NotBefore: time.Now().Add(begin), NotAfter: time.Now().Add(end), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
}

func TestAnAuthorityMakesShortCertificatesForOneHostEach(t *testing.T) {
	a, err := NewAuthority(files(t, authority(-24*time.Hour, 365*24*time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.ca.Leaf)
	for _, host := range []string{"bucket.s3.example.com", "10.1.2.3", "2001:db8::1"} {
		made, err := a.leaf(host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := made.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if n := len(made.Leaf.DNSNames) + len(made.Leaf.IPAddresses); n != 1 || made.Leaf.IsCA || time.Until(made.Leaf.NotAfter) > leafLife {
			t.Errorf("%s: %+v", host, made.Leaf)
		}
		if again, _ := a.leaf(host); again != made {
			t.Errorf("%s: another one each time", host)
		}
	}
	// Half a life later there is another, and never more than there is room for.
	before, _ := a.leaf("10.1.2.3")
	a.now = func() time.Time { return time.Now().Add(leafLife/2 + time.Minute) }
	if after, err := a.leaf("10.1.2.3"); err != nil || after == before {
		t.Errorf("an old one, %v", err)
	}
	for n := range maxLeaves + 10 {
		if _, err := a.leaf(fmt.Sprintf("b%d.s3.example.com", n)); err != nil {
			t.Fatal(err)
		}
	}
	if a.leaves.Len() != maxLeaves {
		t.Errorf("%d are in memory", a.leaves.Len())
	}
}

func TestACertificateDoesNotOutliveItsAuthority(t *testing.T) {
	a, err := NewAuthority(files(t, authority(-time.Minute, time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.leaf("s3.example.com")
	if err != nil || made.Leaf.NotAfter.After(a.Expires()) || made.Leaf.NotBefore.Before(a.ca.Leaf.NotBefore) {
		t.Errorf("%v to %v, %v", made.Leaf.NotBefore, made.Leaf.NotAfter, err)
	}
	if again, _ := a.leaf("s3.example.com"); again != made {
		t.Error("another one each time")
	}
	a.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if _, err := a.leaf("s3.example.com"); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("after its end: %v", err)
	}
}

func TestWhatIsNoAuthorityIsRefused(t *testing.T) {
	noCA, noSign := authority(-time.Hour, time.Hour), authority(-time.Hour, time.Hour)
	noCA.IsCA, noCA.KeyUsage = false, x509.KeyUsageDigitalSignature
	noSign.KeyUsage = x509.KeyUsageDigitalSignature
	for want, template := range map[string]*x509.Certificate{"CA:TRUE": noCA, "keyCertSign": noSign, "has ended": authority(-2*time.Hour, -time.Hour), "begins on": authority(48*time.Hour, 72*time.Hour)} {
		if _, err := NewAuthority(files(t, template)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestNobodyIsAskedForAnotherHostThanTheConnectionsOwn(t *testing.T) {
	a, err := NewAuthority(files(t, authority(-time.Hour, 24*time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	for sni, want := range map[string]bool{"s3.example.com": true, "S3.Example.com": true, "": true, "other.example.com": false} {
		conf := a.Config(func(net.Conn) string { return "s3.example.com" })
		if _, err := conf.GetCertificate(&tls.ClientHelloInfo{ServerName: sni}); (err == nil) != want {
			t.Errorf("%q: %v", sni, err)
		}
	}
	if _, err := a.Config(func(net.Conn) string { return "" }).GetCertificate(&tls.ClientHelloInfo{ServerName: "s3.example.com"}); err == nil {
		t.Error("a connection for no host has a certificate")
	}
}

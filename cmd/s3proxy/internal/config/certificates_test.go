package config

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"
)

func TestACommonNameCountsOnlyWhereACertificateHasNoOtherNameOfAnyKind(t *testing.T) {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "alice.test"}}
	if got := namesOfCertificate(cert); !slices.Equal(got, []string{"alice.test"}) {
		t.Errorf("without others: %q", got)
	}
	cert.Extensions = []pkix.Extension{{Id: subjectAltName}} // of a kind that Go does not read, such as an otherName
	if got := namesOfCertificate(cert); len(got) != 0 {
		t.Errorf("with another: %q", got)
	}
	cert.EmailAddresses = []string{"alice@test"}
	if got := namesOfCertificate(cert); !slices.Equal(got, []string{"alice@test"}) {
		t.Errorf("with an address: %q", got)
	}
}

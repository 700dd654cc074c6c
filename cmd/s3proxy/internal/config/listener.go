package config

import (
	"cmp"
	"math"
	"net"
)

// validateListenerTLS checks how clients reach the listener.
func (c *Config) validateListenerTLS() error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return Usagef("set both tls-cert and tls-key, or neither")
	case c.TLSClientCA != "" && c.TLSCert == "":
		return Usagef("tls-client-ca is set, but not tls-cert: without TLS no client shows a certificate")
	case c.TLSClientCA == "" && c.Given("tls-client-auth"):
		return Usagef("tls-client-auth is set, but not tls-client-ca: no client is asked for a certificate")
	case c.TLSCert != "" && c.PlaintextListen:
		return Usagef("plaintext-listen and tls-cert exclude each other")
	}
	return nil
}

// checkListens refuses an address to listen on that net.Listen would not understand.
func (c *Config) checkListens() error {
	for name, address := range map[string]string{"listen": c.Listen, "admin-listen": c.AdminListen, "metrics-listen": c.MetricsListen} {
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Usagef("%s: %q is not an address such as 127.0.0.1:8080, or :8080 for all of this machine", name, address)
		}
	}
	return nil
}

// validateLimits checks what clients may ask for at once, and fills in the burst.
func (c *Config) validateLimits() error {
	switch {
	case c.MaxRequests < 0 || c.ClientMaxRequests < 0 || c.ClientRate < 0 || c.ClientBurst < 0:
		return Usagef("max-requests, client-max-requests, client-rate and client-burst cannot be negative; 0 is no limit")
	case math.IsNaN(c.ClientRate) || math.IsInf(c.ClientRate, 0):
		return Usagef("client-rate is not a number of requests a second")
	case c.ClientBurst > 0 && c.ClientRate == 0:
		return Usagef("client-burst is set, but not client-rate")
	}
	c.ClientBurst = cmp.Or(c.ClientBurst, int(math.Ceil(min(c.ClientRate, math.MaxInt32))))
	return nil
}

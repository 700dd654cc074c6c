package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver gives a resolver that has one address for every name.
func resolver(t *testing.T, address [4]byte) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for buffer := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: address}}}
			}
			if out, err := m.Pack(); err == nil {
				c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// Whoever has the name of an allowed host in his DNS leads no tunnel to this machine.
func TestAnAllowedNameDoesNotLeadToThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d := newDialer(5*time.Second, nil)
	d.resolver = resolver(t, [4]byte{127, 0, 0, 1})
	if c, err := d.dial(t.Context(), Target{"rebound.example.com", port}); !errors.Is(err, errReserved) {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := d.dial(t.Context(), Target{"127.0.0.1", port}); err != nil {
		t.Errorf("an address that is meant: %v", err)
	} else {
		c.Close()
	}
	d.resolver = resolver(t, [4]byte{169, 254, 169, 254})
	if _, err := d.dial(t.Context(), Target{"rebound.example.com", "80"}); !errors.Is(err, errReserved) {
		t.Errorf("metadata: %v", err)
	}
	own := newDialer(5*time.Second, []string{l.Addr().String()})
	if _, err := own.dial(t.Context(), Target{"127.0.0.1", port}); !errors.Is(err, errOurselves) {
		t.Errorf("ourselves: %v", err)
	}
}

func TestWhichAddressesAreNoPlaceOfAStore(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true, "169.254.169.254": true, "fe80::1": true, "224.0.0.1": true, "255.255.255.255": true,
		"fd00:ec2::254": true, "100.100.100.200": true, "64:ff9b::7f00:1": true, "64:ff9b::a9fe:a9fe": true, "64:ff9b::808:808": false,
		"10.0.0.1": false, "192.168.1.1": false, "fd00:ec2::23": true, "fd20:ce::254": true, "168.63.129.16": true, "64:ff9b::a83f:8110": true, "fd20:ce::255": false, "8.8.8.8": false, "2001:db8::1": false, "fd00::1": false,
	} {
		if got := isReserved(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

var (
	errReserved  = errors.New("the name leads to an address of this machine or link (loopback, link-local, metadata): --connect-host would have to name the address itself")
	errOurselves = errors.New("this is s3proxy's own listener")
)

// dialer connects to places that were allowed by name, and looks at the addresses that the names
// turn out to have: whoever has a hand in DNS could otherwise lead a tunnel to this machine, or to
// where a cloud keeps the machine's credentials.
type dialer struct {
	timeout time.Duration
	ports   []uint16 // of our own listeners
	// resolver finds addresses; nil: the system's.
	resolver *net.Resolver
}

func newDialer(timeout time.Duration, listens []string) *dialer {
	d := &dialer{timeout: timeout}
	for _, address := range listens {
		_, port, err := net.SplitHostPort(address)
		if n, perr := net.LookupPort("tcp", port); err == nil && perr == nil {
			d.ports = append(d.ports, uint16(n))
		}
	}
	return d
}

func (d *dialer) dial(ctx context.Context, to Target) (net.Conn, error) {
	meant := isAddress(to.Host) || to.Host == "localhost" || strings.HasSuffix(to.Host, ".localhost")
	local, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	by := net.Dialer{Timeout: d.timeout, Resolver: d.resolver, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := at.Addr().Unmap().WithZone("")
		switch {
		case slices.Contains(d.ports, at.Port()) && isOurs(ip, local):
			return errOurselves
		case !meant && isReserved(ip):
			return errReserved
		}
		return nil
	}}
	return by.DialContext(ctx, "tcp", to.String())
}

func isOurs(ip netip.Addr, local []net.Addr) bool {
	return ip.IsLoopback() || ip.IsUnspecified() || slices.ContainsFunc(local, func(a net.Addr) bool {
		on, is := a.(*net.IPNet)
		return is && on.IP.Equal(ip.AsSlice())
	})
}

// metadata are the addresses beside 169.254.0.0/16 at which clouds keep what a machine may know
// of itself, credentials among it: AWS over IPv6 (fd00:ec2::254, and ::23 of EKS Pod Identity),
// Google over IPv6, Scaleway over IPv6, Azure's WireServer, Alibaba, Oracle.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::254/128"), netip.MustParsePrefix("fd00:42::42/128"),
	netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"),
}

// translated are the prefixes whose last four bytes are an address of version 4 (RFC 6052, RFC 8215).
var translated = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}

// isReserved tells whether an address is no place of a store that has a name.
func isReserved(ip netip.Addr) bool {
	if isIn(translated, ip) {
		raw := ip.As16()
		ip = netip.AddrFrom4([4]byte(raw[12:]))
	}
	thisNetwork := ip.Is4() && (ip.As4()[0] == 0 || ip.As4()[0] >= 240)
	return thisNetwork || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || isIn(metadata, ip)
}

func isIn(places []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(places, func(p netip.Prefix) bool { return p.Contains(ip) })
}

package forward

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Target is a host and a port, as they are compared.
type Target struct{ Host, Port string }

func (t Target) String() string { return net.JoinHostPort(t.Host, t.Port) }

// Hosts say which hosts are the stores', and where CONNECT may lead.
type Hosts struct {
	stores  []place // whose requests are handled here
	tunnels []place
}

// place is a host, and the hosts below its name where these belong to it.
type place struct {
	host  string
	ports []string
	below bool // hosts below it, too
	exact bool // it, and not only hosts below it
}

func (p place) has(t Target) bool {
	if !slices.Contains(p.ports, t.Port) {
		return false
	}
	return p.exact && t.Host == p.host || p.below && strings.HasSuffix(t.Host, "."+p.host)
}

// NoTunnels in the place of hosts says that CONNECT leads nowhere.
const NoTunnels = "none"

// NewHosts reads what may be reached. stores are the URLs of the configured ones; aliases are
// further names of theirs, NAME or NAME:PORT. tunnels are HOST:PORT, or *.NAME:PORT for the hosts
// below a name; without any they are the stores.
func NewHosts(stores []*url.URL, aliases, tunnels []string) (*Hosts, error) {
	h := &Hosts{}
	for _, u := range stores {
		port := u.Port()
		if port == "" {
			port = defaultPorts[u.Scheme]
		}
		at, err := parse(net.JoinHostPort(u.Hostname(), port), "")
		if err != nil {
			return nil, fmt.Errorf("the store %s: %w", u.Host, err)
		}
		h.stores = append(h.stores, whole(at, clientPorts(port)...))
		if len(tunnels) == 0 {
			h.tunnels = append(h.tunnels, whole(at, port))
		}
	}
	for _, alias := range aliases {
		at, err := parse(alias, "80")
		if err != nil {
			return nil, fmt.Errorf("forward-host: %w", err)
		}
		ports := []string{at.Port}
		if !strings.HasSuffix(alias, ":"+at.Port) {
			ports = clientPorts(at.Port)
		}
		h.stores = append(h.stores, whole(at, ports...))
	}
	if slices.Equal(tunnels, []string{NoTunnels}) {
		return h, nil
	}
	for _, tunnel := range tunnels {
		name, below := strings.CutPrefix(tunnel, "*.")
		at, err := parse(name, "")
		if err != nil || below && isAddress(at.Host) {
			return nil, fmt.Errorf("connect-host: %q is not HOST:PORT, or *.NAME:PORT for all hosts below a name", tunnel)
		}
		h.tunnels = append(h.tunnels, place{host: at.Host, ports: []string{at.Port}, below: below, exact: !below})
	}
	return h, nil
}

// whole is a store's host with its buckets, which are hosts below its name.
func whole(at Target, ports ...string) place {
	return place{host: at.Host, ports: ports, below: !isAddress(at.Host), exact: true}
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// clientPorts are those by which clients may know a store: one at a default port is both
// http://host and https://host to them.
func clientPorts(port string) []string {
	if port == "80" || port == "443" {
		return []string{"80", "443"}
	}
	return []string{port}
}

// IsStore tells whether requests to a place are handled here.
func (h *Hosts) IsStore(t Target) bool {
	return slices.ContainsFunc(h.stores, func(p place) bool { return p.has(t) })
}

// MayTunnel tells whether CONNECT may lead to a place.
func (h *Hosts) MayTunnel(t Target) bool {
	return slices.ContainsFunc(h.tunnels, func(p place) bool { return p.has(t) })
}

// Tunnels gives the places that CONNECT may lead to, for people.
func (h *Hosts) Tunnels() (all []string) { return shown(h.tunnels) }

// Stores gives the places whose requests are handled here, for people.
func (h *Hosts) Stores() (all []string) { return shown(h.stores) }

func shown(places []place) (all []string) {
	for _, p := range places {
		for _, port := range p.ports {
			if p.exact {
				all = append(all, net.JoinHostPort(p.host, port))
			}
			if p.below {
				all = append(all, net.JoinHostPort("*."+p.host, port))
			}
		}
	}
	return all
}

// Domains are the names of stores below which a host is a bucket.
func (h *Hosts) Domains() (names []string) {
	if h == nil {
		return nil
	}
	for _, p := range h.stores {
		if p.below && !slices.Contains(names, p.host) {
			names = append(names, p.host)
		}
	}
	return names
}

var (
	errHostName = errors.New("this is no host")
	// hostName is what a resolver may be asked for. A name that is not ASCII has another form,
	// xn--..., which clients send.
	hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$`)
	// numeric is how a name ends that some resolvers read as an address in an odd form
	// (127.1, 0x7f.1, 2130706433): https://url.spec.whatwg.org/#ends-in-a-number-checker.
	numeric = regexp.MustCompile(`(^|\.)(\d+|0x[0-9a-f]*)$`)
)

// parse reads a host and a port. A port that is left out is otherwise; "" is none.
func parse(text, otherwise string) (Target, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), otherwise
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return Target{}, fmt.Errorf("%q is without a port", text)
	}
	if host = canonical(host); host == "" {
		return Target{}, fmt.Errorf("%q: %w", text, errHostName)
	}
	return Target{host, port}, nil
}

// canonical is a host as it is compared: in lower case, without the dot of the root; "" for what
// is none.
func canonical(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return ""
		}
		return ip.Unmap().String()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if len(host) > 253 || !hostName.MatchString(host) || strings.Contains(host, "..") || numeric.MatchString(host) {
		return ""
	}
	return host
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

func hostOK(s string) error {
	switch {
	case s == "_local_" || s == "_site_" || s == "_global_":
		return nil
	case strings.HasPrefix(s, "_"):
		return fmt.Errorf("%q is unknown; write an address, a host name, _local_, _site_ or _global_", s)
	case strings.ContainsAny(s, "/ "):
		return fmt.Errorf("%q is no address and no host name", s)
	}
	if _, err := netip.ParseAddr(unbracket(s)); err != nil && strings.Contains(s, ":") {
		return fmt.Errorf("%q is no address and no host name; the port is set by http.port", s)
	}
	return nil
}

func unbracket(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]") }

// Loopback reports whether host reaches this machine only.
func Loopback(host string) bool {
	if ip, err := netip.ParseAddr(unbracket(host)); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// Addresses are the hosts to listen on, with _local_, _site_ and _global_
// replaced by this machine's addresses of that kind. Host names stay as they are.
func (h HTTP) Addresses() ([]string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("read the addresses of this machine: %w", err)
	}
	var own []netip.Addr
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return resolve(h.Hosts, own)
}

func resolve(hosts []string, own []netip.Addr) ([]string, error) {
	kinds := map[string]func(netip.Addr) bool{
		"_local_":  netip.Addr.IsLoopback,
		"_site_":   netip.Addr.IsPrivate,
		"_global_": func(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.IsPrivate() },
	}
	var out []string
	seen := map[string]bool{}
	add := func(host string) {
		if !seen[host] {
			seen[host] = true
			out = append(out, host)
		}
	}
	for _, host := range hosts {
		is, special := kinds[host]
		if !special {
			add(unbracket(host))
			continue
		}
		before := len(seen)
		for _, a := range own {
			if is(a) {
				add(a.String())
			}
		}
		if len(seen) == before && len(out) == 0 {
			return nil, fmt.Errorf("http.host: this machine has no address that %s stands for; write the address itself", host)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("http.host: names no address")
	}
	return out, nil
}

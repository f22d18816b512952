package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"latchkey/internal/config"
)

// listen opens the addresses of http.host on the first port of the range that
// is free on all of them.
func listen(h config.HTTP) ([]net.Listener, error) {
	hosts, err := h.Addresses()
	if err != nil {
		return nil, err
	}
	for port := h.Ports.First; ; port++ {
		listeners, err := listenOn(hosts, port)
		switch {
		case err == nil:
			return listeners, nil
		case port < h.Ports.Last && errors.Is(err, syscall.EADDRINUSE):
		case errors.Is(err, syscall.EADDRINUSE) && h.Ports.First == h.Ports.Last:
			return nil, fmt.Errorf("port %d of http.port is not free: stop what listens there, or choose another (%w)", port, err)
		case errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("no port of http.port %d-%d is free: stop what listens there, or choose another range (%w)", h.Ports.First, h.Ports.Last, err)
		default:
			return nil, fmt.Errorf("cannot listen on http.host and http.port: %w", err)
		}
	}
}

// listenOn opens all hosts on one port. An address is listened on in its own
// family only: Go would take 0.0.0.0 for every IPv6 address, too.
func listenOn(hosts []string, port int) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, host := range hosts {
		l, err := net.Listen(network(host), net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		if port == 0 {
			port = l.Addr().(*net.TCPAddr).Port // the same on every address
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func network(host string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil: // a name
		return "tcp"
	case ip.Unmap().Is4():
		return "tcp4"
	}
	return "tcp6"
}

func addresses(listeners []net.Listener) []string {
	var all []string
	for _, l := range listeners {
		all = append(all, l.Addr().String())
	}
	return all
}

// publishAddress is where clients that look for nodes are sent to. An address
// that means "all of mine" is no use to them, so another host of this machine,
// or its loopback, stands in.
func publishAddress(h config.HTTP, bound []string) string {
	host, port, err := net.SplitHostPort(bound[0])
	if err != nil {
		return bound[0]
	}
	if h.PublishPort != 0 {
		port = strconv.Itoa(h.PublishPort)
	}
	switch ip := net.ParseIP(host); {
	case h.PublishHost != "":
		host = h.PublishHost
	case ip != nil && ip.IsUnspecified():
		host = ownAddress(ip.To4() != nil)
	}
	return net.JoinHostPort(host, port)
}

// ownAddress returns an address of this machine that others may reach, of the
// family that the node listens on.
func ownAddress(v4 bool) string {
	addrs, _ := net.InterfaceAddrs() // without them, loopback is the best there is
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && (n.IP.To4() != nil) == v4 {
			return n.IP.String()
		}
	}
	if !v4 {
		return net.IPv6loopback.String()
	}
	return "127.0.0.1"
}

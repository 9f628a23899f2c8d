package agent

import (
	"net"
	"net/netip"
)

// advertised returns the address that others are told for a bound one. What
// the operator set wins, with the bound port where none was given; a wildcard
// stands for the machine's first address.
func advertised(bound net.Addr, set string) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	if set != "" {
		setHost, setPort, err := net.SplitHostPort(set)
		if err != nil {
			return net.JoinHostPort(set, port)
		}
		if setPort == "" || setPort == "0" {
			setPort = port
		}
		if setHost != "" {
			return net.JoinHostPort(setHost, setPort)
		}
		port = setPort
	}
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		return net.JoinHostPort(host, port)
	}
	return net.JoinHostPort(firstAddress(), port)
}

// firstAddress returns the machine's first address that others can reach,
// IPv4 before IPv6, or loopback when it has none.
func firstAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	var six string
	for _, addr := range addrs {
		prefix, err := netip.ParsePrefix(addr.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr().String()
		}
		if six == "" {
			six = prefix.Addr().String()
		}
	}
	if six != "" {
		return six
	}
	return "127.0.0.1"
}

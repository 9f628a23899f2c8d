package wire

import (
	"fmt"
	"net/netip"
)

// appendAddress appends an IP address as its 4 or 16 bytes where that says the
// same, and as text otherwise.
func appendAddress(b []byte, s string) []byte {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" && ip.String() == s {
		return appendBytes(b, inAddress, ip.AsSlice())
	}
	return appendBytes(b, inAddressText, text(s))
}

func readAddress(f *field) (string, error) {
	if f.number == inAddressText {
		return plain(f.bytes)
	}
	ip, ok := netip.AddrFromSlice(f.bytes)
	if !ok {
		return "", fmt.Errorf("address of %d bytes: %w", len(f.bytes), errBody)
	}
	return ip.String(), nil
}

// Package hosts tells hosts on this machine or a private network from those reached over the internet, where neither a
// password nor a token may travel unencrypted.
package hosts

import (
	"net/netip"
	"strings"
)

// Private reports whether a host is this machine or on a private network: a socket's path, a loopback, private or
// link-local address, a name without a dot (such as a container's), or a name under .localhost, .local or .internal. It
// decides by the name alone, because a resolver's answer can be forged.
func Private(host string) bool {
	if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".local", ".internal"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

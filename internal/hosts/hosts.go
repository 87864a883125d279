// Package hosts tells hosts on this machine or a private network from those reached over the internet, where neither a
// password nor a token may travel unencrypted.
package hosts

import (
	"net/netip"
	"net/url"
	"strings"
)

// Private reports whether a host is certain to be this machine or on a private network: a socket's path, a loopback,
// private or link-local address, a name without a dot (such as a container's), or a name under .localhost, .local or
// .internal. It decides by the name alone, because a resolver's answer can be forged.
func Private(host string) bool {
	if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if !isName(name) {
		return false
	}
	dot := strings.LastIndexByte(name, '.')
	switch name[dot+1:] {
	case "localhost", "local", "internal":
		return true
	}
	return dot < 0
}

// isName reports whether a text is the name of a host, letters, digits, hyphens and underscores between dots, and
// cannot be an address in a form that only resolvers know: 134744072, 010.8.8.8, 0x8.8 and 8.8 all mean 8.8.8.8 or
// another public host. As browsers do (https://url.spec.whatwg.org/#ends-in-a-number-checker), it takes whatever ends
// in a number for an address.
func isName(name string) bool {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	if digits, hex := strings.CutPrefix(last, "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") != ""
	}
	return strings.Trim(last, "0123456789") != ""
}

// Exposed reports whether what is sent to an address, such as a token or a customer's data, crosses the internet
// unencrypted.
func Exposed(address *url.URL) bool {
	return !strings.EqualFold(address.Scheme, "https") && !Private(address.Hostname())
}

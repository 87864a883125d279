package hosts

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestPrivate(t *testing.T) {
	for host, want := range map[string]bool{
		"": true, "/var/run/postgresql": true, "localhost": true, "postgres": true, "Minio": true, "db_1": true, "db-1": true,
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "fd00::1": true,
		"::ffff:10.0.0.1": true, "::FFFF:7f00:1": true, "169.254.1.1": true, "fe80::1%eth0": true,
		"db.local": true, "host.docker.internal": true, "DB.LOCALHOST.": true, "localhost.": true,
		"1a": true, "0xg": true, "3.internal": true,

		"8.8.8.8": false, "172.32.0.1": false, "2001:db8::1": false, "::ffff:8.8.8.8": false, "2001:db8::1%lo": false,
		"64:ff9b::a00:1": false, "::7f00:1": false,
		"ep-a.eu-central-1.aws.neon.tech": false, "localhost.example.com": false, "10.1.2.3.example.com": false,
		"internal.example.com": false,

		// Whatever a resolver may take for an address.
		"134744072": false, "0x08080808": false, "0X8080808": false, "01002004010": false, "0": false, "0x": false,
		"8.8": false, "8.8.8": false, "010.8.8.8": false, "0x8.8.8.8": false, "8.8.8.0x8": false, "8.8.8.8.": false,
		"127.1": false, "2130706433": false, "10.0.0.1.": false, "a.8": false, "local.0x7f": false, "1.2.3.4.5": false,
		"134744072.": false, "00000010.0.0.1": false,

		// What is no name at all.
		".": false, "..local": false, "a..local": false, "local host": false, "８８": false, "evil.com/.local": false,
		"evil.com#.local": false, "a:b": false, "[::1]": false, "evil.com\x00.local": false, "loc%61l": false,
	} {
		if got := Private(host); got != want {
			t.Errorf("Private(%q) = %v", host, got)
		}
	}
}

// No text of digits, as a number in any base and in any parts, is certain to be private unless it is the one canonical
// form of an address.
func FuzzPrivateNumbers(f *testing.F) {
	for _, host := range []string{"134744072", "0x8.8", "010.0.0.1", "10.0.0.1", "017700000001", "10.0.0.01"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if host == "" || strings.Trim(strings.ToLower(host), "0123456789abcdefx.") != "" ||
			strings.Trim(host[strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')+1:], "0123456789.") != "" {
			return
		}
		if _, err := netip.ParseAddr(host); err != nil && Private(host) {
			t.Errorf("Private(%q)", host)
		}
	})
}

func TestExposed(t *testing.T) {
	for address, want := range map[string]bool{
		"https://example.com": false, "HTTPS://example.com": false, "http://localhost:9000": false,
		"http://10.0.0.1/x": false, "http://[::1]:1": false, "http://minio:9000": false,
		"http://example.com": true, "http://134744072": true, "http://[2001:db8::1]": true, "ftp://example.com": true,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := Exposed(u); got != want {
			t.Errorf("Exposed(%s) = %v", address, got)
		}
	}
}

package hosts

import "testing"

func TestPrivate(t *testing.T) {
	for host, want := range map[string]bool{
		"": true, "/var/run/postgresql": true, "localhost": true, "postgres": true,
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "fd00::1": true,
		"::ffff:10.0.0.1": true, "169.254.1.1": true,
		"db.local": true, "host.docker.internal": true, "DB.LOCALHOST.": true,

		"8.8.8.8": false, "172.32.0.1": false, "2001:db8::1": false,
		"ep-a.eu-central-1.aws.neon.tech": false, "localhost.example.com": false, "10.1.2.3.example.com": false,
		"internal.example.com": false,
	} {
		if got := Private(host); got != want {
			t.Errorf("Private(%q) = %v", host, got)
		}
	}
}

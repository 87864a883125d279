package neontest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The codes that, like its version, begin a connection in PostgreSQL's protocol.
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
)

// readStartup reads one of the messages that begin a connection, which have no type.
func readStartup(r io.Reader) (code uint32, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read a startup message: %w", err)
	}
	const most = 10000 // PostgreSQL's own limit, MAX_STARTUP_PACKET_LENGTH
	length := binary.BigEndian.Uint32(head[:])
	if length < 8 || length > most {
		return 0, nil, fmt.Errorf("a startup message of %d bytes", length)
	}
	body = make([]byte, length-8)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, fmt.Errorf("read a startup message: %w", err)
	}
	return binary.BigEndian.Uint32(head[4:]), body, nil
}

func encodeStartup(code uint32, body []byte) []byte {
	message := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	return append(binary.BigEndian.AppendUint32(message, code), body...)
}

// startup is a startup message's parameters, in their order.
type startup struct {
	version    uint32
	parameters [][2]string
}

func parseStartup(version uint32, body []byte) (*startup, error) {
	if version>>16 != 3 {
		return nil, fmt.Errorf("unsupported frontend protocol %d.%d", version>>16, version&0xffff)
	}
	fields := strings.Split(string(body), "\x00")
	// Names and values alternate, up to an empty name. Nothing follows the final zero.
	if len(fields) < 2 || len(fields)%2 != 0 || fields[len(fields)-1] != "" || fields[len(fields)-2] != "" {
		return nil, errors.New("invalid startup packet layout: expected terminator as last byte")
	}
	s := &startup{version: version}
	for i := 0; i+2 < len(fields); i += 2 {
		if fields[i] == "" {
			return nil, errors.New("invalid startup packet layout: expected terminator as last byte")
		}
		s.parameters = append(s.parameters, [2]string{fields[i], fields[i+1]})
	}
	if s.user() == "" {
		return nil, errors.New("no PostgreSQL user name specified in startup packet")
	}
	return s, nil
}

func (s *startup) encode() []byte {
	var body []byte
	for _, p := range s.parameters {
		body = append(append(append(append(body, p[0]...), 0), p[1]...), 0)
	}
	return encodeStartup(s.version, append(body, 0))
}

func (s *startup) get(name string) string {
	for _, p := range s.parameters {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

// set sets a parameter, or removes it if the value is empty.
func (s *startup) set(name, value string) {
	s.parameters = slices.DeleteFunc(s.parameters, func(p [2]string) bool { return p[0] == name })
	if value != "" {
		s.parameters = append(s.parameters, [2]string{name, value})
	}
}

func (s *startup) user() string { return s.get("user") }

// database returns the database, by default the one named like the user.
func (s *startup) database() string {
	if d := s.get("database"); d != "" {
		return d
	}
	return s.user()
}

// takeEndpoint removes endpoint=…, which is meant for the proxy, from the options and returns it.
func (s *startup) takeEndpoint() string {
	endpoint := ""
	var rest []string
	for _, option := range strings.Fields(s.get("options")) {
		if id, ok := strings.CutPrefix(option, "endpoint="); ok {
			endpoint = id
		} else {
			rest = append(rest, option)
		}
	}
	if endpoint != "" {
		s.set("options", strings.Join(rest, " "))
	}
	return endpoint
}

// refusedByPooler returns what PgBouncer, in transaction mode, answers to parameters that it cannot track for a
// client, or "".
func (s *startup) refusedByPooler() string {
	kept := []string{"user", "database", "application_name", "client_encoding", "datestyle", "timezone",
		"standard_conforming_strings", "extra_float_digits"}
	for _, p := range s.parameters {
		name := strings.ToLower(p[0])
		if !slices.Contains(kept, name) && !strings.HasPrefix(name, "_pq_.") {
			return "unsupported startup parameter: " + p[0]
		}
	}
	return ""
}

// dropUnforwarded removes the parameters that Neon's proxy does not pass on to the compute. It says nothing about it.
func (s *startup) dropUnforwarded() {
	forwarded := []string{"user", "database", "application_name", "options", "replication"}
	s.parameters = slices.DeleteFunc(s.parameters, func(p [2]string) bool { return !slices.Contains(forwarded, p[0]) })
}

// writeError sends an ErrorResponse.
func writeError(w io.Writer, severity, code, message string) error {
	body := []byte("S" + severity + "\x00V" + severity + "\x00C" + code + "\x00M" + message + "\x00\x00")
	packet := append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...)
	_, err := w.Write(packet)
	return err
}

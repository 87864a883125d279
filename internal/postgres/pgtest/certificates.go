package pgtest

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// certify creates the server's certificate and its authority, and a TLS configuration that presents the certificate.
func (s *Server) certify() error {
	files := servertest.Certificates{
		Authority: filepath.Join(s.dir, "ca.pem"),
		Server:    filepath.Join(s.dir, "server.pem"),
		Key:       filepath.Join(s.dir, "server.key"),
	}
	if err := files.Write(); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(files.Server, files.Key)
	if err != nil {
		return fmt.Errorf("read PostgreSQL's certificate: %w", err)
	}
	s.tls, s.CAFile = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, files.Authority
	return nil
}

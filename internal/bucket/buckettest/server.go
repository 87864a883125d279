// Package buckettest runs private MinIO servers for tests, the sandbox, the demo and the benchmarks. They have the
// version that tools/minio pins, TLS and the token service, and listen on 127.0.0.1 only. Nothing of them outlives the
// process that started them, however that ends. A [FaultProxy] in front of one injects faults.
package buckettest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha1" // how MinIO names a role
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/servertest"
)

const (
	// Region is the region of every server: MinIO's default, and the one that its role ARNs leave out.
	Region = "us-east-1"
	// Domain is the domain of a bucket's host name. It is AWS's own, to test a client that has nothing but AWS's
	// settings and whose connections are redirected to the server.
	Domain = "s3." + Region + ".amazonaws.com"
	// Audience is the audience of the tokens that a server accepts for its role.
	Audience = "sts.amazonaws.com"

	startTimeout = 60 * time.Second
	stopTimeout  = 15 * time.Second
)

// Options configure a [Server].
type Options struct {
	NoTLS bool
	// Issuer is the URL of an OIDC issuer, without the path of its discovery document. Its tokens may assume the
	// server's role. Empty: there is no role.
	Issuer string
	// Dir is where to create the server's directory. Empty: in memory (/dev/shm) if it has 8 GiB free, else in the
	// system's temporary directory.
	Dir string
}

// Server is a running MinIO.
type Server struct {
	URL string // of the store and of the token service
	// AccessKey and SecretKey are the root account's.
	AccessKey, SecretKey string
	// RoleARN is a role that may do anything with buckets; empty without an issuer.
	RoleARN string
	CAFile  string // PEM file of the authority that signed the server's certificate; empty with NoTLS
	CA      []byte // the contents of CAFile

	dir      string
	address  string
	options  Options
	watchdog *servertest.Watchdog
	cmd      *exec.Cmd
	exited   chan struct{} // closed once the process has ended
	client   *s3.Client
}

// Start starts a server without buckets and returns once it responds. The caller must stop it.
func Start(ctx context.Context, o Options) (*Server, error) {
	binary, err := Find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cmp.Or(o.Dir, servertest.Directory(8<<30)), "buckettest-")
	if err != nil {
		return nil, fmt.Errorf("create a directory for MinIO: %w", err)
	}
	s := &Server{AccessKey: "root" + rand.Text()[:8], SecretKey: rand.Text(), dir: dir, options: o}
	if s.watchdog, err = servertest.Watch("buckettest-watchdog", endServer, dir); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if o.Issuer != "" {
		id := sha1.Sum([]byte(Audience))
		s.RoleARN = "arn:minio:iam:::role/" + base64.RawURLEncoding.EncodeToString(id[:])
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	err = servertest.OnFreePort(ctx, func(port int) error {
		s.address = fmt.Sprintf("127.0.0.1:%d", port)
		return s.start(ctx, binary)
	})
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) prepare() error {
	for _, dir := range []string{"data", "certs"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			return fmt.Errorf("prepare MinIO: %w", err)
		}
	}
	if s.options.NoTLS {
		return nil
	}
	s.CAFile = filepath.Join(s.dir, "ca.pem")
	err := servertest.Certificates{
		Authority: s.CAFile,
		Server:    filepath.Join(s.dir, "certs", "public.crt"),
		Key:       filepath.Join(s.dir, "certs", "private.key"),
		Hosts:     []string{Domain, "*." + Domain},
	}.Write()
	if err != nil {
		return err
	}
	if s.CA, err = os.ReadFile(s.CAFile); err != nil {
		return fmt.Errorf("prepare MinIO: %w", err)
	}
	return nil
}

// newClient returns a client with the root account.
func (s *Server) newClient() *s3.Client {
	return s3.New(s3.Options{
		Region: Region, BaseEndpoint: aws.String(s.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: s.transport()},
	})
}

// transport returns a transport that trusts the server's certificate.
func (s *Server) transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.MaxIdleConnsPerHost = nil, 64
	if s.CA != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.CA)
		t.TLSClientConfig.RootCAs = roots
	}
	return t
}

// Client returns a client with the root account, to prepare and inspect buckets.
func (s *Server) Client() *s3.Client { return s.client }

// CreateBucket creates a bucket, with lock one that has Object Lock (and versioning, which that requires).
func (s *Server) CreateBucket(ctx context.Context, name string, lock bool) error {
	_, err := s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(lock)})
	if err != nil {
		return fmt.Errorf("create the bucket %s: %w", name, err)
	}
	return nil
}

// Address returns the host and port that the server listens on.
func (s *Server) Address() string { return s.address }

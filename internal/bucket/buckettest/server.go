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
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/servertest"
)

const (
	// Region is the region of every server: MinIO's default, and the one that its role ARNs leave out.
	Region = "us-east-1"
	// Domain is the domain of a bucket's host name. It is AWS's own, to test a client that has nothing but AWS's settings
	// and whose connections are redirected to the server.
	Domain = "s3." + Region + ".amazonaws.com"
	// Audience is the audience of the tokens that a server accepts for its role.
	Audience = "sts.amazonaws.com"

	startTimeout = 60 * time.Second
	stopTimeout  = 15 * time.Second
)

// Options configure a [Server].
type Options struct {
	NoTLS bool
	// Issuer is the URL of an OIDC issuer, without the path of its discovery document. Its tokens may assume the server's
	// role. Empty: there is no role.
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

func (s *Server) start(ctx context.Context, binary string) error {
	s.URL = "https://" + s.address
	if s.options.NoTLS {
		s.URL = "http://" + s.address
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return fmt.Errorf("start MinIO: %w", err)
	}
	defer log.Close()
	s.cmd = exec.Command(binary, "server", "--quiet", "--address", s.address,
		"--certs-dir", filepath.Join(s.dir, "certs"), filepath.Join(s.dir, "data"))
	s.cmd.Env, s.cmd.Dir = s.environment(), s.dir
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start MinIO: %w", err)
	}
	s.exited = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // the log says how it ended
		close(s.exited)
	}()
	if err := os.WriteFile(filepath.Join(s.dir, "pid"), fmt.Appendln(nil, s.cmd.Process.Pid), 0o600); err != nil {
		return errors.Join(fmt.Errorf("start MinIO: %w", err), s.shutdown())
	}
	s.client = s.newClient()
	for {
		_, err := s.client.ListBuckets(ctx, &s3.ListBucketsInput{})
		if err == nil {
			err = s.roleIsKnown(ctx)
		}
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("start MinIO: it ended: %s", strings.TrimSpace(s.Log()))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for MinIO: %w: %s", err, strings.TrimSpace(s.Log())), s.shutdown())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// roleIsKnown returns an error until the server knows its role. It tries to assume it with an invalid token: MinIO
// serves buckets before it has fetched its issuer's keys, and until then says that there is no such role.
func (s *Server) roleIsKnown(ctx context.Context) error {
	if s.RoleARN == "" {
		return nil
	}
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {s.RoleARN}, "WebIdentityToken": {"none"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Transport: s.transport()}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && strings.Contains(string(answer), "is not defined") {
		err = errors.New("the role is not known yet")
	}
	return err
}

// environment returns the server's environment, without the caller's secrets and settings.
func (s *Server) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TZ=UTC",
		"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
		"MINIO_DOMAIN=" + Domain,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1",
	}
	if s.options.Issuer != "" {
		env = append(env,
			"MINIO_IDENTITY_OPENID_CONFIG_URL="+s.options.Issuer+"/.well-known/openid-configuration",
			"MINIO_IDENTITY_OPENID_CLIENT_ID="+Audience,
			"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite")
	}
	return env
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

// PID returns the server's process id.
func (s *Server) PID() int {
	if s.cmd == nil || s.cmd.Process == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// Stop stops the server and removes its files. A second Stop does nothing.
func (s *Server) Stop() error {
	errs := []error{s.shutdown()}
	if s.watchdog != nil {
		if err := os.RemoveAll(s.dir); err != nil {
			errs = append(errs, fmt.Errorf("remove MinIO's directory: %w", err))
		}
		errs = append(errs, s.watchdog.Dismiss())
		s.watchdog = nil
	}
	return errors.Join(errs...)
}

func (s *Server) shutdown() error {
	if s.exited == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop MinIO: %w", err)
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	// It is waiting for requests in progress, and nobody needs its data any more.
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill MinIO: %w", err)
	}
	<-s.exited
	return nil
}

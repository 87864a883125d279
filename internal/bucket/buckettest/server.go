// Package buckettest runs private MinIO servers for tests, the sandbox, the demo and the benchmarks: real ones, built from the
// version that tools/minio pins, with TLS and the token service, listening on 127.0.0.1 only. Nothing of them outlives
// the process that started them, however it ends. A [Front] stands before one and breaks what passes through it.
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
	// Region is every server's: MinIO's default, and the one that is left out of its roles' names.
	Region = "us-east-1"
	// Domain is where the server's buckets are in the names of hosts: AWS's own, so that a client with nothing but AWS's
	// settings, whose connections are led here, can be tested.
	Domain = "s3." + Region + ".amazonaws.com"
	// Audience is that of the tokens which a server's role is given for.
	Audience = "sts.amazonaws.com"

	startTimeout = 60 * time.Second
	stopTimeout  = 15 * time.Second
)

// Options say how to start a server.
type Options struct {
	NoTLS bool
	// Issuer is the URL of an OIDC issuer (without the path of its discovery document) whose tokens give the server's role.
	// Empty: there is no role.
	Issuer string
	// Dir is where the server's directory is made. Empty: memory (/dev/shm) where there is plenty, else the system's
	// temporary directory.
	Dir string
}

// Server is a running MinIO.
type Server struct {
	URL string // its address, also that of its token service
	// AccessKey and SecretKey are those of its root account.
	AccessKey, SecretKey string
	// RoleARN may be assumed with a token of the issuer, and then do everything with buckets.
	RoleARN string
	CAFile  string // PEM of the authority that signed its certificate; empty with NoTLS
	CA      []byte // the same as bytes

	dir      string
	address  string
	options  Options
	watchdog *servertest.Watchdog
	cmd      *exec.Cmd
	exited   chan struct{} // closed once it has been waited for
	client   *s3.Client
}

// Start starts a server with no buckets, and returns once it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	binary, err := Find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cmp.Or(o.Dir, servertest.Directory(8<<30)), "buckettest-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for MinIO: %w", err)
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
		Authority: s.CAFile, Server: filepath.Join(s.dir, "certs", "public.crt"), Key: filepath.Join(s.dir, "certs", "private.key"),
		Hosts: []string{Domain, "*." + Domain},
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
	s.cmd = exec.Command(binary, "server", "--quiet", "--address", s.address, "--certs-dir", filepath.Join(s.dir, "certs"), filepath.Join(s.dir, "data"))
	s.cmd.Env, s.cmd.Dir = s.environment(), s.dir
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start MinIO: %w", err)
	}
	s.exited = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // however it ended, its log tells
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

// roleIsKnown asks for a session with a token that is none: MinIO answers requests for buckets before it has read its issuer's
// keys, and until then says that there is no such role.
func (s *Server) roleIsKnown(ctx context.Context) error {
	if s.RoleARN == "" {
		return nil
	}
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {s.RoleARN}, "WebIdentityToken": {"none"}}
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

// environment keeps the caller's secrets and settings out of the server.
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

// newClient returns a client of the root account.
func (s *Server) newClient() *s3.Client {
	return s3.New(s3.Options{
		Region: Region, BaseEndpoint: aws.String(s.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: s.transport()},
	})
}

// transport trusts the server's certificate.
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

// Client is of the root account, for preparing buckets and for looking into them.
func (s *Server) Client() *s3.Client { return s.client }

// CreateBucket makes a bucket; with lock, one with Object Lock (and versions, which that needs).
func (s *Server) CreateBucket(ctx context.Context, name string, lock bool) error {
	_, err := s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(lock)})
	if err != nil {
		return fmt.Errorf("make the bucket %s: %w", name, err)
	}
	return nil
}

// Address is where the server listens, host and port.
func (s *Server) Address() string { return s.address }

// PID is the server's process, 0 while it is down.
func (s *Server) PID() int {
	if s.cmd == nil || s.cmd.Process == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Log returns what the server has logged so far.
func (s *Server) Log() string {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// Stop ends the server and removes all that it had on disk. Stopping twice is harmless.
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
	// It waits for requests that are under way; its data is thrown away.
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill MinIO: %w", err)
	}
	<-s.exited
	return nil
}

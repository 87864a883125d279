package buckettest

import (
	"context"
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

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

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

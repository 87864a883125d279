package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// backupWay is one way to back databases up.
type backupWay struct {
	name   string
	rounds int // at most; 0 is all
	// uploads is true if the bucket has a backup of each database afterwards.
	uploads bool
	rival   bool // neither ours nor the floor
	command func(ctx context.Context) *exec.Cmd
	// oneProcess is true if the command is a single program, so that its memory means something.
	oneProcess bool
}

// ways returns the floor, ours and the others that this machine has. missing says what is left out, and why.
func (s *backupSite) ways(ctx context.Context) (ways []backupWay, missing []string, err error) {
	program, err := s.program(ctx)
	if err != nil {
		return nil, nil, err
	}
	many := len(s.databases) > 1
	slow := s.slowRounds()
	ways = []backupWay{
		s.floor(), s.ours("ours", 0, program),
		s.ours("ours, compression-level: 7", 1, program, "INPUT_COMPRESSION-LEVEL=7"),
		s.ours("ours, compression: zstd", 1, program, "INPUT_COMPRESSION=zstd"),
	}
	if version := s.version("aws", "--version"); version == "" {
		missing = append(missing, "The seed and pigz are left out: this machine has no aws (Debian's package is "+
			"awscli).")
	} else {
		ways = append(ways, backupWay{name: "the seed: pg_dump, gzip, file, aws s3 cp", rounds: slow, uploads: true,
			rival: true, command: s.script(1, s.steps("gzip"))})
		switch pigz := s.version("pigz", "--version"); {
		case pigz == "":
			missing = append(missing, "pigz is left out: this machine does not have it (apt-get install pigz).")
		case many:
			ways = append(ways, backupWay{name: "pg_dump, pigz, file, aws s3 cp, 8 at once", rounds: 1, uploads: true,
				rival: true, command: s.script(backupConcurrency, s.steps("pigz"))})
		default:
			ways = append(ways, backupWay{name: "pg_dump, pigz, file, aws s3 cp", rounds: 1, uploads: true, rival: true,
				command: s.script(1, s.steps("pigz"))})
		}
	}
	if s.version("pg_back", "--version") == "" {
		missing = append(missing, "pg_back is left out: this machine does not have it (build "+
			"github.com/orgrim/pg_back and add it to the PATH).")
	} else {
		ways = append(ways, s.pgBack(slow))
	}
	return ways, missing, nil
}

// steps is what the seed, the workflow in Neon's guide, does for a database: dump into a file, upload the file.
// pipefail, which it lacks, costs nothing and keeps failures from being counted as backups.
func (s *backupSite) steps(compressor string) string {
	dump := fmt.Sprintf(`pg_dump --no-owner --no-privileges "$PGDATABASE" | %s > "$PGDATABASE.sql.gz"`, compressor)
	upload := fmt.Sprintf(`aws s3 cp --only-show-errors --endpoint-url %s "$PGDATABASE.sql.gz" %s`,
		s.store.URL, fmt.Sprintf(`"s3://%s/$PGDATABASE/$PGDATABASE.sql.gz"`, backupBucket))
	return "set -o pipefail; " + dump + " && " + upload
}

// script runs the steps in a shell for each database, several at once. They find its name in PGDATABASE.
func (s *backupSite) script(processes int, steps string) func(context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "xargs", "-P", fmt.Sprint(processes), "-I{}", "env", "PGDATABASE={}", "bash",
			"-e", "-c", steps)
		cmd.Stdin, cmd.Dir, cmd.Env = lines(s.databases), s.files, s.environment()
		return cmd
	}
}

// floor dumps and discards.
func (s *backupSite) floor() backupWay {
	return backupWay{name: "floor: pg_dump, cat", command: s.script(backupConcurrency,
		`set -o pipefail; pg_dump --no-owner --no-privileges "$PGDATABASE" | cat > /dev/null`)}
}

// pgBack uses its default format, pg_dump's custom archive, which zlib compresses.
func (s *backupSite) pgBack(rounds int) backupWay {
	return backupWay{name: fmt.Sprintf("pg_back -j%d --upload s3", backupConcurrency), rounds: rounds, uploads: true,
		rival: true, oneProcess: true, command: func(ctx context.Context) *exec.Cmd {
			args := []string{
				"--no-config-file", "--bin-directory", s.server.BinDir, "--dump-only", "--quiet",
				"--backup-directory", filepath.Join(s.files, "pg_back"), "--jobs", fmt.Sprint(backupConcurrency),
				"--upload", "s3", "--s3-region", buckettest.Region, "--s3-bucket", backupBucket,
				"--s3-endpoint", s.store.URL, "--s3-force-path", "yes",
			}
			cmd := exec.CommandContext(ctx, "pg_back", append(args, s.databases...)...)
			cmd.Dir, cmd.Env = s.files, s.environment()
			return cmd
		}}
}

// environment tells the others where the server and the bucket are.
func (s *backupSite) environment() []string {
	return append(os.Environ(),
		"PATH="+s.server.BinDir+":"+os.Getenv("PATH"), // Debian's pg_dump is a script that looks for the real one
		"PGHOST="+s.server.Host, fmt.Sprintf("PGPORT=%d", s.server.Port), "PGUSER="+s.role,
		"PGPASSWORD="+tenantPassword, "PGSSLMODE=disable",
		"AWS_ACCESS_KEY_ID="+s.store.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.store.SecretKey,
		"AWS_REGION="+buckettest.Region, "AWS_CA_BUNDLE="+s.store.CAFile,
		"AWS_EC2_METADATA_DISABLED=true")
}

// ours is the program itself as a runner starts it: it discovers its tenants, asks for an identity token, assumes a
// role, dumps, uploads, checks, writes manifests, prunes and reports. more are further inputs.
func (s *backupSite) ours(name string, rounds int, program string, more ...string) backupWay {
	env := append([]string{
		"PATH=" + os.Getenv("PATH"),
		"INPUT_MODE=backup", "INPUT_NEON-API-KEY=" + neontest.PersonalKey,
		"INPUT_NEON-API-URL=" + s.api.URL + neontest.BasePath,
		fmt.Sprintf("INPUT_CONCURRENCY=%d", backupConcurrency),
		"INPUT_S3-BUCKET=" + backupBucket, "INPUT_S3-ENDPOINT=" + s.store.URL, "INPUT_S3-PATH-STYLE=true",
		"INPUT_AWS-REGION=" + buckettest.Region,
		"INPUT_ROLE-TO-ASSUME=" + s.store.RoleARN, "AWS_ENDPOINT_URL_STS=" + s.store.URL,
		"AWS_CA_BUNDLE=" + s.store.CAFile,
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + s.issuer.RequestURL,
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s.issuer.RequestToken,
		"INPUT_REPORT-FILE=" + filepath.Join(s.dir, "report.json"), "GITHUB_WORKSPACE=" + s.dir, "GITHUB_ACTIONS=true",
		"GITHUB_OUTPUT=" + filepath.Join(s.dir, "output"), "GITHUB_STEP_SUMMARY=" + filepath.Join(s.dir, "summary.md"),
	}, more...)
	return backupWay{name: name, rounds: rounds, uploads: true, oneProcess: true,
		command: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, program)
			cmd.Env = env
			return cmd
		}}
}

// version returns the first line that a program prints about itself, empty if this machine does not have it.
func (b *bench) version(program string, args ...string) string {
	said, err := exec.Command(program, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return ""
	}
	line, _, _ := strings.Cut(string(said), "\n")
	return line
}

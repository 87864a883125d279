# The action's image. GitHub builds it at the start of a job that uses @main (runs.image in action.yml), so it has to be
# quick to build from nothing. It keeps to what every builder knows: no RUN --mount, no heredoc, no syntax line.

# The majors whose pg_dump and pg_restore the image holds. A tenant's server is backed up by those of its own major.
# PostgreSQL 14 had its last release in November 2026: PGDG moves it to an archive, where the build then finds it, and it
# gets no more repairs. Leave it out here once no tenant is left on it.
ARG PG_CLIENTS="14 15 16 17 18"
# Where they come from: pgdg, PostgreSQL's own repository, which has them all; or suites of Debian beside trixie, which has
# 17, where PGDG cannot be reached: --build-arg PG_REPO="bookworm forky" --build-arg PG_CLIENTS="15 17 18".
ARG PG_REPO=pgdg

# From the image that the program is built with, so that a job pulls one base and not two.
FROM golang:1.26-trixie AS clients
ARG PG_CLIENTS
ARG PG_REPO
COPY image/clients /usr/local/bin/gather-clients
RUN gather-clients /out && rm -rf /var/lib/apt/lists/*

FROM golang:1.26-trixie AS build

WORKDIR /src
ENV CGO_ENABLED=0

# A mirror of the Go modules: docker build --build-arg GOPROXY=…; unset, Go's own default.
ARG GOPROXY

# The dependencies first, in a layer that stays while only our code changes. They are named because "go mod download"
# would also fetch the drivers that dbmate offers and this program leaves out: several hundred megabytes in every job.
COPY go.mod go.sum ./
RUN go build -trimpath \
    filippo.io/age \
    github.com/amacneil/dbmate/v2/pkg/dbmate \
    github.com/aws/aws-sdk-go-v2/config \
    github.com/aws/aws-sdk-go-v2/credentials/stscreds \
    github.com/aws/aws-sdk-go-v2/service/s3 \
    github.com/hashicorp/go-retryablehttp \
    github.com/jackc/pgx/v5 \
    github.com/klauspost/compress/gzip \
    github.com/klauspost/compress/zstd \
    github.com/klauspost/pgzip \
    github.com/mattn/go-shellwords \
    github.com/sethvargo/go-githubactions \
    go.yaml.in/yaml/v3 \
    golang.org/x/sync/errgroup \
    golang.org/x/time/rate

COPY . .
ARG VERSION=dev
RUN go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/neon-tenants-action . && \
    touch -d @0 /out/neon-tenants-action

# Nothing but the program, PostgreSQL's clients with the libraries that they are linked with, and the certificate
# authorities that both check servers by: no shell to inject into, and little to pull.
FROM scratch

LABEL org.opencontainers.image.title="neon-tenants-action" \
      org.opencontainers.image.source="https://github.com/org/neon-tenants-action" \
      org.opencontainers.image.licenses="MIT"

# The clients below the program: their layer stays from one release to the next while PostgreSQL has none.
COPY --from=clients /out/ /
ARG PG_CLIENTS
LABEL io.github.org.neon-tenants-action.postgresql-clients="${PG_CLIENTS}"
COPY --from=build /out/neon-tenants-action /neon-tenants-action

# What a run holds of a fleet is bounded, but there can be a hundred thousand tenants: collecting garbage more often takes
# a fifth of that memory away, and a little CPU time.
ENV GOGC=50

# root, as the runner's mounted workspace and command files need; exec form, so that the program is PID 1, gets the
# signals of a cancelled job, and sees inputs whose names hold hyphens (a shell drops such variables).
ENTRYPOINT ["/neon-tenants-action"]

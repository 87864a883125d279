# The action's image. GitHub builds it at the start of a job that uses a full version tag (runs.image in action.yml), so
# it has to be quick to build from nothing. It keeps to what every builder knows: no RUN --mount, no heredoc, no syntax line.

FROM golang:1.26-trixie AS build

WORKDIR /src
ENV CGO_ENABLED=0

# A mirror of the Go modules: docker build --build-arg GOPROXY=…; unset, Go's own default.
ARG GOPROXY

# The dependencies first, in a layer that stays while only our code changes. They are named because "go mod download"
# would also fetch the drivers that dbmate offers and this program leaves out: several hundred megabytes in every job.
COPY go.mod go.sum ./
RUN go build -trimpath \
    github.com/amacneil/dbmate/v2/pkg/dbmate \
    github.com/hashicorp/go-retryablehttp \
    github.com/jackc/pgx/v5 \
    github.com/sethvargo/go-githubactions \
    go.yaml.in/yaml/v3 \
    golang.org/x/time/rate

COPY . .
ARG VERSION=dev
RUN go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/neon-tenants-action .

# Nothing but the program and the certificate authorities that it checks Neon by: no shell to inject into, nothing else
# to patch, and little to pull. A mode that runs PostgreSQL's own programs needs Debian's libraries, and with them
# debian:trixie-slim in this place.
FROM scratch

LABEL org.opencontainers.image.title="neon-tenants-action" \
      org.opencontainers.image.source="https://github.com/org/neon-tenants-action" \
      org.opencontainers.image.licenses="MIT"

COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/neon-tenants-action /neon-tenants-action

# root, as the runner's mounted workspace and command files need; exec form, so that the program is PID 1, gets the
# signals of a cancelled job, and sees inputs whose names hold hyphens (a shell drops such variables).
ENTRYPOINT ["/neon-tenants-action"]

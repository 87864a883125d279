# What a contributor runs. Every target installs what it needs (apt, as root or with sudo), or says what to install.

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test test-clock lint manifests fmt bench image reproducible e2e examples sweep soak vulnerabilities pictures

IMAGE := neon-tenants-action:dev
# built from the module in the folder that is given
TOOL = GOFLAGS= go build -C $(1) -trimpath -ldflags "-s -w" -o "$(CURDIR)/bin/" $(2)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The store of demo and sandbox: empty for the one that is built in, or minio.
STORE ?=
export STORE

demo: $(if $(filter minio,$(STORE)),bin/minio) ## take a small fleet on this machine through all that the action does, break one tenant, show what a user sees
	@.ci/sandbox demo

sandbox: $(if $(filter minio,$(STORE)),bin/minio) ## serve a simulated Neon over a real PostgreSQL, an S3 server and a simulated GitHub until Ctrl-C, and print the environment to use
	@.ci/sandbox serve

test: ## vet, and every test against real servers with the race detector
	@.ci/install gcc postgres pgbouncer node
	go vet ./...
	.ci/test

test-clock: ## the tests that need no MinIO, at the end of a leap year and of a summer, in other time zones
	@.ci/install postgres
	.ci/test-clock

# One of how many points to kill a run at.
EVERY ?= 1

sweep: bin/minio ## kill each kind of run before and after every call that it makes, and look at what is left
	@.ci/install postgres
	go test -count 1 -timeout 60m -run '^TestKilledAtEveryCall$$' ./internal/sweep -args -every $(EVERY)

# How long to soak, with how many tenants, and what its chaos begins with; 0: any number.
SOAK ?= 10m
TENANTS ?= 500
SEED ?= 0

soak: bin/minio ## take a fleet through its life, round after round, while calls fail, sessions end, runs are killed and the store's clock jumps
	@.ci/install postgres
	go test -count 1 -timeout 60m -v -run '^TestSoak$$' ./internal/sweep -args -soak $(SOAK) -tenants $(TENANTS) -seed $(SEED)

lint: bin/golangci-lint bin/actionlint ## golangci-lint on the Go code, actionlint on workflows and examples
	bin/golangci-lint run ./...
	bin/actionlint .github/workflows/*.yml examples/*.yml

vulnerabilities: bin/govulncheck ## download and check the modules, and look for known vulnerabilities in what the program calls
	@.ci/vulnerabilities

manifests: ## decode the Kubernetes example with Kubernetes' own types, which take minutes to compile
	cd tools/manifests && go run . ../../examples/kubernetes/*.yaml

fmt: bin/golangci-lint ## format the Go code
	bin/golangci-lint fmt ./...

bench: bin/minio ## measure against the floor and against what people use now
	@.ci/install postgres
	@.ci/install pigz aws || echo "the benchmarks leave out whoever is not here" >&2
	go run ./internal/bench

image: ## build the action's image
	@.ci/install docker
	@.ci/image $(IMAGE)

reproducible: ## build the image twice from nothing, and compare: one commit makes one image
	@.ci/install docker
	@.ci/reproducible

e2e: image bin/act bin/minio ## the image as GitHub's runner starts it, the example workflows under act, and the report page in Chromium
	@.ci/install postgres chromium node
	go test -count 1 -timeout 10m -run '^TestBrowser$$' -v ./internal/report
	E2E_IMAGE=$(IMAGE) E2E_ACT="$(CURDIR)/bin/act" E2E_RUN_AS_RUNNER="$${E2E_RUN_AS_RUNNER:-$(CURDIR)/.ci/run-as-runner}" \
		.ci/sharded 2 ./internal/e2e $${TEST_SHORT:+-short} -tags e2e

examples: ## install the example application, run its tests, and connect it to tenants that the program creates
	@.ci/install postgres node
	@node --eval 'process.exit(parseInt(process.versions.node) < 20)' || { echo "this needs Node.js 20 or later" >&2; exit 1; }
	go test -tags examples -count 1 -timeout 10m -run '^TestTenantRouting$$' -v ./internal/e2e

pictures: ## make docs/pictures anew: run a simulated fleet, render its summaries and its page, and take pictures of them
	@.ci/install postgres chromium node pictures
	@.ci/pictures

# Tools, built once from the versions pinned in tools/.
bin/golangci-lint: tools/lint/go.sum
	$(call TOOL,tools/lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
	@touch $@
bin/govulncheck: tools/vuln/go.sum
	$(call TOOL,tools/vuln,golang.org/x/vuln/cmd/govulncheck)
	@touch $@
bin/act: tools/go.sum
	$(call TOOL,tools,github.com/nektos/act)
	@touch $@
bin/actionlint: tools/go.sum
	$(call TOOL,tools,github.com/rhysd/actionlint/cmd/actionlint)
	@touch $@
bin/minio: tools/minio/go.sum # several minutes, once
	$(call TOOL,tools/minio,github.com/minio/minio)
	@touch $@
bin/benchstat: tools/go.sum
	$(call TOOL,tools,golang.org/x/perf/cmd/benchstat)
	@touch $@

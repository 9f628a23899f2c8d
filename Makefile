# Grapevine: virtual machines on a fleet of hypervisors, without a database.
# `make` alone prints what there is.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  := -s -w -X grapevine/internal/buildinfo.version=$(VERSION) -X grapevine/internal/buildinfo.commit=$(COMMIT)
# Without gin's msgpack codec, which nobody calls, the binary is 6 MB smaller.
TAGS     := nomsgpack
BUILD    := CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)'
PREFIX   ?= /usr/local
UNITDIR  ?= /etc/systemd/system
LINT     := bin/golangci-lint
LINT_VERSION := v2.15.0
HOSTS    ?= 6
FUZZTIME ?= 20s
SIMTIME  ?= 10m
PROOFFOR ?= 10h
PROOFSEED ?= 17,18,19,20,21,22,23,24,25,26
# Where the proofs have hosts' disks: in memory, if there is a place for it.
PROOFDIR ?= $(wildcard /dev/shm)
SIMSEED  ?= $(shell date +%s)
# The pure cores and the glue, which run under the race detector.
RACE     := ./fleet/... ./mesh/... ./agent/... ./placement/... ./view/... ./registry/... ./api/... ./internal/...

.DEFAULT_GOAL := help
.PHONY: help build run test check fmt fmt-check tidy tidy-check lint race cover fuzz sim sim-witnesses proofs sim-detection bench xen-lab xen-conformance generate tools install uninstall dist packages install-lab compat licences vuln clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/grapevine, one static binary
	$(BUILD) -o bin/grapevine ./cmd/grapevine

run: build ## start a whole fleet in one process (HOSTS=6), API on 127.0.0.1:7948
	bin/grapevine dev --hosts $(HOSTS)

test: ## set up what the tests need, then run all of them
	scripts/run-tests

check: fmt-check tidy-check lint licences race ## format, tidy, lint, licences, race: what CI runs beside test

fmt: $(LINT) ## format all Go code
	$(LINT) fmt

fmt-check: $(LINT)
	$(LINT) fmt --diff

tidy: ## make go.mod and go.sum true
	go mod tidy

tidy-check:
	go mod tidy -diff

lint: $(LINT) ## golangci-lint with .golangci.yml, shellcheck where it is installed
	$(LINT) run ./...
	@if command -v shellcheck >/dev/null; then shellcheck $$(scripts/list-shell); else echo "shellcheck is not installed: the shell scripts were not checked"; fi

race: ## test the pure cores and the glue under the race detector (needs gcc)
	CGO_ENABLED=1 scripts/go-test -race -short -shuffle=on -timeout 30m $(RACE)

cover: ## coverage of every package, as bin/cover.html
	go test -coverprofile=bin/cover.out ./... && go tool cover -html=bin/cover.out -o bin/cover.html

fuzz: ## run every fuzz test for FUZZTIME=20s
	scripts/run-fuzz $(FUZZTIME)

sim: ## try random histories of faults for SIMTIME=10m, from a seed that is printed
	GRAPEVINE_SIM_FOR=$(SIMTIME) GRAPEVINE_SIM_SEED=$(SIMSEED) go test -v -count=1 -run ManyHistories -timeout 0 ./test/sim

sim-witnesses: ## try random histories of grants from witnesses for SIMTIME=10m, from a seed that is printed
	GRAPEVINE_WITNESSES_FOR=$(SIMTIME) GRAPEVINE_WITNESSES_SEED=$(SIMSEED) go test -v -count=1 -run NoKey -timeout 0 ./test/witnesses

proofs: sim sim-witnesses ## all proofs of docs/guarantees.md at full length: histories of the mesh and of grants, a random life of PROOFFOR=10h of virtual time from each of ten seeds, PROOFSEED=17,18..., and the mistakes that must be caught (hours)
	GRAPEVINE_PROOFS=long GRAPEVINE_PROOFS_FOR=$(PROOFFOR) GRAPEVINE_PROOFS_SEED=$(PROOFSEED) GRAPEVINE_PROOFS_DIR=$(PROOFDIR) go test -v -count=1 -timeout 0 ./test/proofs
	GRAPEVINE_PROOFS=long go test -v -count=1 -timeout 60m -run '^TestProof' $$(go list ./... | grep -v /test/proofs)

sim-detection: ## who is given up among 100 members, half an hour of virtual time behind a bad network, a sixth of them busy (10 minutes of processor)
	GRAPEVINE_SIM=long GOGC=800 go test -v -count=1 -run TestFailureDetection -timeout 0 ./mesh

bench: build ## run all benchmarks into bin/bench.txt and draw docs/pictures (about half an hour)
	scripts/run-benchmarks

xen-lab: ## build an emulated Xen host for tests and save it running (some minutes; as root on Debian)
	scripts/xen-lab build

xen-conformance: xen-lab ## all tests on the emulated Xen host, which is built where it is missing
	GRAPEVINE_XEN_LAB=required go test -v -count=1 -timeout 120m ./test/xenlab
	GRAPEVINE_XEN_LAB=required go test -v -count=1 -timeout 60m -run OnXen ./test/e2e

generate: ## regenerate protobuf code (needs protoc)
	go generate ./...

tools: $(LINT) ## install the pinned tools into bin/

$(LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

install: build ## install the binary, units and shell completion (PREFIX, UNITDIR, DESTDIR)
	PREFIX=$(PREFIX) UNITDIR=$(UNITDIR) scripts/install-files install

uninstall: ## remove what install put there; configuration and state stay
	PREFIX=$(PREFIX) UNITDIR=$(UNITDIR) scripts/install-files uninstall

dist: ## build release archives for linux amd64 and arm64 into dist/
	VERSION=$(VERSION) TAGS=$(TAGS) LDFLAGS='$(LDFLAGS)' scripts/build-dist

packages: ## build a .deb and an .rpm into dist/, for ARCHES="amd64 arm64" if named
	VERSION=$(VERSION) TAGS=$(TAGS) LDFLAGS='$(LDFLAGS)' scripts/build-packages

install-lab: ## install, upgrade, roll back and remove the package on an emulated host with systemd, under a running guest (20 minutes)
	scripts/install-lab

compat: build ## mix agents and registries of this tree and of the commit in test/compat/PREVIOUS in one mesh, upgrade and roll back each
	GRAPEVINE_COMPAT=1 GRAPEVINE_BINARY=$(CURDIR)/bin/grapevine go test -v -count=1 -timeout 20m -run '^TestOldAndNew' ./test/e2e

licences: ## refuse modules in the binary whose licence is forbidden, restricted or unknown
	scripts/check-licences

vuln: ## known vulnerabilities in what the binary calls, by govulncheck (asks vuln.go.dev; no part of CI)
	scripts/check-vulnerabilities

clean: ## remove what was built
	rm -rf bin/grapevine bin/cover.out bin/cover.html dist

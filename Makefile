# Build, test and run Arion. Bare `make` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A Go unpacked to the usual place is found even when PATH lacks it.
export PATH := $(PATH):/usr/local/go/bin

# The one place for build tags. grocksdb_no_link: replica/engine/rocks says
# itself how RocksDB is linked (statically), instead of the wrapper.
TAGS      := grocksdb_no_link
# Tests also check the costly invariants.
TEST_TAGS := $(TAGS),invariants
# Longest time of one package's tests.
TEST_TIMEOUT ?= 10m
FUZZ_TIME    ?= 20s
# Where `make run` keeps its data.
DIR ?= data/onebox

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what this machine lacks for building
	@scripts/bootstrap.sh

.PHONY: build
build: setup ## build bin/arion
	go build -trimpath -tags $(TAGS) -o bin/arion ./cmd/arion

.PHONY: run
run: build ## start a onebox with table `temp` and open the shell on it
	@scripts/run.sh $(DIR)

.PHONY: test
test: build lint purego ## run everything that CI runs
	go test -race -tags $(TEST_TAGS) -timeout $(TEST_TIMEOUT) ./...

.PHONY: lint
lint: ## formatting, vet, import rules, golangci-lint where installed
	@bad=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	  test -z "$$bad" || { echo "not formatted, run gofmt -w on:"; echo "$$bad"; exit 1; }
	@# stdmethods: Thrift's protocol has a ReadByte of its own.
	go vet -stdmethods=false -tags $(TEST_TAGS) ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run --build-tags $(TEST_TAGS); fi

.PHONY: purego
purego: ## check that contract, client and shell need no C compiler
	CGO_ENABLED=0 go build ./config ./idl/... ./client/... ./shell/... ./meta/...

.PHONY: fuzz
fuzz: setup ## run each fuzz target for FUZZ_TIME (20s)
	@scripts/fuzz.sh $(TEST_TAGS) $(FUZZ_TIME)

# Length of `make soak`.
SOAK_TIME ?= 10m
# Length of the long run of `make chaos`, and which of its tests to run.
CHAOS_TIME ?= 10m
CHAOS_RUN ?= .

.PHONY: chaos
chaos: build ## torment clusters for CHAOS_TIME (10m): kills, pauses, cuts, lost and full disks, damaged files
	go test -tags $(TAGS) -count=1 -timeout 600m -v ./test/chaos -run '$(CHAOS_RUN)' \
	  -chaos.kills=10 -chaos.time=$(CHAOS_TIME)

.PHONY: soak
soak: setup ## send damaged frames to a cluster for SOAK_TIME (10m)
	ARION_SOAK=$(SOAK_TIME) go test -tags $(TEST_TAGS) -count=1 -timeout 60m -v -run TestDamagedFrames ./test/wire

.PHONY: mutants
mutants: build ## check that chaos catches deliberately broken builds
	go test -tags $(TAGS) -count=1 -timeout 90m -v -run TestMutantsAreCaught ./test/chaos -chaos.mutants

# Faults measured of each kind.
FAILOVERS ?= 20

.PHONY: bench-failover
bench-failover: build ## measure how long writes fail when a leader's server goes away
	go test -tags $(TAGS) -count=1 -timeout 60m -v -run TestFailoverTimes ./test/chaos -chaos.failovers=$(FAILOVERS)

.PHONY: bench-compare
bench-compare: setup ## run Arion beside redis-server and etcd, print a table
	@scripts/bench-compare.sh

.PHONY: bench-targets
bench-targets: setup ## measure the promises of docs/performance.md
	@scripts/bench-targets.sh

.PHONY: bench-pegasus
bench-pegasus: setup ## hold gets and puts against figures of Apache Pegasus
	@scripts/bench-targets.sh -pegasus

# Flags of `make bench-scale`, such as -short or -only records.
SCALE ?=

.PHONY: bench-scale
bench-scale: setup ## measure the cost of growing, write docs/scale.md (15 minutes)
	@scripts/bench-scale.sh $(SCALE)

.PHONY: bench-guard
bench-guard: setup ## compare throughput with the last release
	@scripts/bench-guard.sh

.PHONY: gen
gen: ## generate the Go code of the Thrift files (needs thrift-compiler 0.17)
	scripts/gen.sh

.PHONY: clean
clean: ## remove what was built; data stays
	rm -rf bin .build

# `make help` lists the targets. The scripts in scripts/ and tests/ do the work; here is what
# they depend on.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Where rustup puts cargo; it is not in the PATH of every non-interactive shell.
export PATH := $(PATH):$(HOME)/.cargo/bin

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR ?= $(PREFIX)/share/doc/phantomdb
MANDIR ?= $(PREFIX)/share/man
BINDIR ?= $(PREFIX)/bin

export TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
export LIB_DIR := $(TARGET_DIR)/lib
export INCLUDE_DIR := $(CURDIR)/include
export DEVSERVER := $(TARGET_DIR)/debug/phantomdb-devserver
export VERSION := $(shell sed -n '/^\[package\]/,/^\[dep/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
export ABI := $(shell sed -n 's/^\#define PHANTOMDB_ABI_VERSION //p' include/phantomdb.h)
export NODE_DIR := $(TARGET_DIR)/node
export PYTHON_DIR := $(TARGET_DIR)/python
export GO_DIR := $(TARGET_DIR)/go
export MAKE

# The server that the Debian packages contain. `make test` packs the one that it has built for all
# tests; `make dist` tests the packages with that of a release.
SERVER_PROFILE ?= release
export RELEASE_SERVER := $(TARGET_DIR)/$(SERVER_PROFILE:dev=debug)/phantomdb-devserver
SERVER_NOTICES := $(RELEASE_SERVER)-NOTICES
export MANUAL_DIR := $(TARGET_DIR)/man
export DOCS_DIR := $(TARGET_DIR)/docs
export DEB_DIR := $(TARGET_DIR)/$(if $(filter release,$(SERVER_PROFILE)),deb,deb-$(SERVER_PROFILE))
LIBRARY := $(LIB_DIR)/libphantomdb.so.$(VERSION)
DEBS := $(DEB_DIR)/built
MANUAL := $(MANUAL_DIR)/libphantomdb.3
NODE_PACKAGE := $(NODE_DIR)/phantomdb-$(VERSION).tgz
PYTHON_WHEEL := $(PYTHON_DIR)/wheel
GO_STAGE := $(GO_DIR)/prefix/lib/pkgconfig/phantomdb.pc
GO_TOOLS := $(GO_DIR)/bin/staticcheck
export SETUP_BUILD := $(TARGET_DIR)/setup-build
SETUP_DEMO := $(TARGET_DIR)/setup-demo
SETUP_NODE := $(TARGET_DIR)/setup-node
SETUP_PYTHON := $(TARGET_DIR)/setup-python
SETUP_TEST := $(TARGET_DIR)/setup-test
SETUP_BENCH := $(TARGET_DIR)/setup-bench

# Every target that is told of.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

env: ## print the variables that the scripts take
	@for name in TARGET_DIR LIB_DIR INCLUDE_DIR DEVSERVER VERSION ABI NODE_DIR PYTHON_DIR GO_DIR \
		MANUAL_DIR DOCS_DIR DEB_DIR; do printf 'export %s=%q\n' "$$name" "$${!name}"; done

setup: $(SETUP_TEST) ## install what building and testing need, or say what to install
	@echo 'Everything is there.'

# Each level looks for all that it needs, whatever another has found. None comes before another, for
# which compiler a machine without one gets depends on what it is for.
$(TARGET_DIR)/setup-%: scripts/setup $(wildcard rust-toolchain.toml)
	@scripts/setup $*
	@mkdir -p $(@D) && touch $@

build: $(LIBRARY) ## build the shared and the static library

# With its real prerequisites, so that `sudo make install` after `make build` needs no cargo.
$(LIBRARY): Cargo.toml Cargo.lock build.rs scripts/build scripts/notices \
		$(shell find src -name '*.rs') | $(SETUP_BUILD)
	@scripts/build

manual: $(MANUAL) ## write the manual pages of the C interface

$(MANUAL): include/phantomdb.h packaging/debian/changelog scripts/manual | $(SETUP_BUILD)
	@scripts/manual $(MANUAL_DIR)

header: $(SETUP_BUILD) ## regenerate include/phantomdb.h from src/capi
	@scripts/header

devserver: $(SETUP_BUILD) ## build the development server
	@cargo build --locked --package phantomdb-devserver

devserver-release: $(SERVER_NOTICES) ## build the development server as users have it

# By the notices, which are written last: by the profile dev, others build the server without them.
$(SERVER_NOTICES): Cargo.toml Cargo.lock devserver/Cargo.toml scripts/build scripts/notices \
		$(shell find devserver/src -name '*.rs') | $(SETUP_BUILD)
	@SERVER_PROFILE='$(SERVER_PROFILE)' scripts/build --devserver

$(SETUP_NODE): bindings/node/package-lock.json | $(SETUP_DEMO)
	@scripts/node --setup
	@mkdir -p $(@D) && touch $@

node: $(NODE_PACKAGE) ## build the package for Node.js

$(NODE_PACKAGE): $(LIBRARY) $(SETUP_NODE) scripts/node LICENSE bindings/node/package.json \
		$(shell find bindings/node/lib bindings/node/native bindings/node/types \
			bindings/node/scripts bindings/node/README.md -type f)
	@scripts/node

$(SETUP_PYTHON): $(wildcard bindings/python/requirements-*.txt) scripts/python | $(SETUP_DEMO)
	@scripts/python --setup
	@mkdir -p $(@D) && touch $@

python: $(PYTHON_WHEEL) ## build the package for Python

$(PYTHON_WHEEL): $(LIBRARY) $(SETUP_PYTHON) scripts/python LICENSE \
		$(shell find bindings/python -type f -not -path '*/tests/*' -not -path '*/__pycache__/*' \
			-not -path '*/.*')
	@scripts/python

# The library as programs in Go find it, by pkg-config.
$(GO_STAGE): $(LIBRARY) scripts/go scripts/install bindings/c/pkgconfig/phantomdb.pc.in \
		| $(SETUP_DEMO)
	@scripts/go --stage

$(GO_TOOLS): tests/go/tools/go.sum | $(SETUP_TEST)
	@scripts/go --tools

demo: build devserver node $(GO_STAGE) python ## load and query real data, in every language
	@scripts/demo

# Where what goes, for scripts/install.
LAYOUT = PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DOCDIR='$(DOCDIR)' \
	MANDIR='$(MANDIR)' DESTDIR='$(DESTDIR)'

install: $(LIBRARY) $(MANUAL) ## install under PREFIX (/usr/local); also LIBDIR, INCLUDEDIR, MANDIR, DOCDIR, DESTDIR
	@$(LAYOUT) scripts/install

install-devserver: $(SERVER_NOTICES) ## install the development server
	@install -D --mode=755 $(RELEASE_SERVER) '$(DESTDIR)$(BINDIR)/phantomdb-devserver'
	@install -D --mode=644 $(SERVER_NOTICES) '$(DESTDIR)$(PREFIX)/share/doc/phantomdb-devserver/NOTICES'
	@install -D --mode=644 devserver/phantomdb-devserver.1 '$(DESTDIR)$(MANDIR)/man1/phantomdb-devserver.1'

uninstall: ## remove what install with the same variables put there
	@$(LAYOUT) scripts/install --remove

dist: $(DEBS) node python devserver ## build all that a release consists of into dist/, and check it
	@scripts/dist
	@tests/dist/run
	@$(MAKE) --no-print-directory test-packages test-reproducible

SETUP_DOCS := $(TARGET_DIR)/setup-docs

$(SETUP_DOCS): docs/reference/package-lock.json docs/reference/requirements.txt | $(SETUP_TEST) $(SETUP_PYTHON)
	@scripts/docs --setup
	@touch $@

docs: $(SETUP_DOCS) $(MANUAL) python ## build the reference of every language, in target/docs
	@scripts/docs

deb: $(DEBS) ## build the Debian packages, into target/deb

$(DEBS): $(LIBRARY) $(MANUAL) $(SERVER_NOTICES) devserver/phantomdb-devserver.1 bindings/c/phantomdb.hpp \
		scripts/deb scripts/install $(shell find packaging bindings/c/cmake bindings/c/pkgconfig -type f) | $(SETUP_TEST)
	@scripts/deb

test: $(SETUP_TEST) ## check everything that must hold
	@SERVER_PROFILE=dev scripts/test --beside test-msrv-demo --beside 'sanitized-library test-model test-loom fuzzers' \
		lint test-rust build test-header test-abi test-c test-counts test-sanitize test-fork test-node test-python \
		test-go test-contract test-soak test-install test-docs test-demo test-packages test-fuzz test-msrv-tests

lint: $(SETUP_TEST) $(SETUP_NODE) $(SETUP_PYTHON) $(GO_STAGE) $(GO_TOOLS) ## the formatters and linters of all languages
	@scripts/lint

test-rust: $(SETUP_TEST) ## the Rust tests, of the library and of the development server
	@cargo test --locked --workspace --all-features

# In a folder of its own, because the flag changes every dependency.
MODEL := RUSTFLAGS='--cfg shuttle' CARGO_TARGET_DIR='$(TARGET_DIR)/model' \
	cargo test --locked --package phantomdb --lib

test-model: $(SETUP_TEST) ## the model checker on the pool's locking
	@$(MODEL) --profile model model::

test-loom: $(SETUP_TEST) ## the fast path under a model checker of weak memory
	@RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR='$(TARGET_DIR)/loom' CARGO_PROFILE_DEV_OPT_LEVEL=2 \
		CARGO_PROFILE_DEV_DEBUG=0 cargo test --locked --package fast-path-loom

rules: $(SETUP_TEST) ## write docs/rules.md anew
	@PHANTOMDB_BLESS=1 cargo test --locked --test rules

SOAK_SEEDS ?= 100000
SOAK_SCALE ?= 20
SOAK_STEPS ?= 10000000

soak-core: $(SETUP_TEST) ## the simulation with SOAK_SEEDS seeds, the model checker SOAK_SCALE times as long
	@PHANTOMDB_SIM_SEEDS='$(SOAK_SEEDS)' cargo test --locked --release --lib simulation
	@PHANTOMDB_MODEL_SCALE='$(SOAK_SCALE)' $(MODEL) --release model::

soak-go: $(SETUP_TEST) $(GO_STAGE) ## SOAK_STEPS random steps through the Go binding, with the race detector
	@PHANTOMDB_GO_SOAK_STEPS='$(SOAK_STEPS)' scripts/go bindings/go test -race -count=1 -v -timeout 0 \
		-run RandomSteps ./pool

test-header: $(SETUP_TEST) build devserver ## the headers alone, and the programs in their comments
	@tests/header/run

test-abi: $(SETUP_TEST) build devserver ## exported symbols, the programs of earlier releases, and how it is linked
	@tests/abi/run

.PHONY: test-counts
test-counts: $(SETUP_TEST) build devserver ## what an acquire and a request cost, counted without a clock
	@tests/counts/run

abi-bless: $(SETUP_TEST) ## accept the ABI of include/phantomdb.h as it is now
	@tests/abi/describe --write

abi-release: $(SETUP_TEST) build devserver ## keep the header of this version as that of a release; see docs/abi.md
	@tests/abi/release

test-reproducible: $(SETUP_BUILD) build ## build the libraries again elsewhere: the same, bit by bit
	@scripts/reproducible

test-c: $(SETUP_TEST) build devserver ## the C and C++ tests, also under valgrind
	@BUILD_DIR='$(TARGET_DIR)/tests-c' tests/c/run

.PHONY: sanitized-library
sanitized-library: $(SETUP_TEST)
	@tests/sanitize/library >/dev/null

test-sanitize: $(SETUP_TEST) devserver $(SETUP_NODE) $(SETUP_PYTHON) $(GO_STAGE) ## the C and C++ tests, and each native layer beside a hostile server, under sanitizers
	@tests/sanitize/run
	@tests/sanitize/hostile 5

test-fork: $(SETUP_TEST) build devserver ## a pool and the children of its process
	@tests/fork/run

test-node: $(SETUP_TEST) build devserver node ## the binding for Node.js, and its package
	@tests/node/run

test-python: $(SETUP_TEST) build devserver python ## the binding for Python, and its package
	@tests/python/run

test-go: $(SETUP_TEST) $(GO_STAGE) devserver ## the binding for Go, with the race detector
	@tests/go/run

test-contract: $(SETUP_TEST) build devserver node $(GO_STAGE) python ## every scenario of the contract, in every language
	@tests/contract/run

SOAK_MINUTES ?= 30

soak: $(SETUP_TEST) build devserver node $(GO_STAGE) python ## all bindings for SOAK_MINUTES beside a server in trouble
	@tests/contract/run --soak --minutes '$(SOAK_MINUTES)' --into '$(TARGET_DIR)/soak'

test-soak: $(SETUP_TEST) build devserver node $(GO_STAGE) python ## the same for 20 seconds
	@tests/contract/run --soak --minutes 0.33 --into '$(TARGET_DIR)/soak-test'

FUZZ_SECONDS ?= 600

FUZZ_SHORTLY := 10

.PHONY: fuzzers
fuzzers: $(SETUP_TEST)
	@fuzz/run --build '$(FUZZ_SHORTLY)'

test-fuzz: $(SETUP_TEST) ## each fuzzer for a short while
	@fuzz/run '$(FUZZ_SHORTLY)'

fuzz: $(SETUP_TEST) devserver python $(SETUP_NODE) $(GO_STAGE) ## each fuzzer for FUZZ_SECONDS, also those of the bindings' readers
	@fuzz/run '$(FUZZ_SECONDS)'
	@fuzz/python/run '$(FUZZ_SECONDS)'
	@tests/sanitize/hostile '$(FUZZ_SECONDS)' values c node go

contract-table: $(SETUP_TEST) build devserver node $(GO_STAGE) python ## write docs/contract.md anew
	@tests/contract/run --write

test-install: $(SETUP_TEST) build devserver ## programs outside the tree against an installed copy
	@tests/install/run

test-packages: $(SETUP_TEST) devserver $(DEBS) ## the Debian packages, in a clean Debian
	@tests/packages/run

test-msrv: $(SETUP_TEST) ## the Rust tests and the demo with Debian 13's own compiler, in a clean Debian 13
	@tests/msrv/run

test-msrv-demo: $(SETUP_TEST) ## of these the demo, and that the tests compile
	@tests/msrv/run demo

# Apart from the demo, because some of them can't be run beside everything else: they have time-outs.
test-msrv-tests: $(SETUP_TEST) ## of these the Rust tests
	@tests/msrv/run tests

test-docs: docs ## the reference: nothing undocumented, and what the manual's script refuses
	@tests/docs/run

test-demo: $(SETUP_TEST) build devserver node $(GO_STAGE) python ## the demo, in a pipe
	@scripts/demo --check

.PHONY: bench bench-quick bench-core

# The library itself comes last: it makes one report of all.
bench: ## the library beside its peers, in every language; the report is in target/bench
	@$(MAKE) --no-print-directory bench-node BENCH='--rounds 5'
	@$(MAKE) --no-print-directory bench-go GO_BENCH='-rounds 5'
	@$(MAKE) --no-print-directory bench-python PYTHON_BENCH='--rounds 5'
	@$(MAKE) --no-print-directory bench-core CORE_BENCH=--bindings

bench-quick: ## as bench, with less effort, in two minutes once it is built
	@$(MAKE) --no-print-directory bench-node BENCH='--rounds 3 --scale 0.2'
	@$(MAKE) --no-print-directory bench-go GO_BENCH='-rounds 3 -scale 0.2'
	@$(MAKE) --no-print-directory bench-python PYTHON_BENCH='--rounds 3 --scale 0.2'
	@$(MAKE) --no-print-directory bench-core CORE_BENCH='--quick --bindings'

bench-core: $(SETUP_BENCH) build devserver-release ## the library itself beside its peers; CORE_BENCH=--quick for a short run
	@DEVSERVER='$(RELEASE_SERVER)' benches/core/run $(CORE_BENCH)

bench-node: build node devserver-release ## the binding for Node.js beside its peers; BENCH has arguments for it
	@DEVSERVER='$(RELEASE_SERVER)' benches/node/run $(BENCH)

bench-sizing: devserver-release node ## what the size of a pool does to its callers: docs/sizing.md
	@DEVSERVER='$(RELEASE_SERVER)' benches/sizing/run

bench-go: $(GO_STAGE) devserver-release ## the binding for Go beside its peers; GO_BENCH has arguments for it
	@DEVSERVER='$(RELEASE_SERVER)' benches/go/run $(GO_BENCH)

bench-python: python devserver-release ## the binding for Python beside its peers; PYTHON_BENCH has arguments for it
	@DEVSERVER='$(RELEASE_SERVER)' benches/python/run $(PYTHON_BENCH)

fmt: $(SETUP_TEST) $(SETUP_NODE) $(SETUP_PYTHON) ## format the code
	@cargo fmt --all
	@$(PYTHON_DIR)/venv/bin/ruff format --quiet --config bindings/python/pyproject.toml \
		{bindings,examples,benches,fuzz}/python tests/contract/agents
	@npm --prefix bindings/node run --silent format -- "$(CURDIR)"/{bindings,examples,benches}/node "$(CURDIR)/tests/contract"
	@gofmt -w {bindings,examples,benches,tests}/go

clean: ## remove everything that was built
	@cargo clean

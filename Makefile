# The few commands one types here. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
PROREUS := $(TARGET)/debug/proreus
DEMO := $(TARGET)/demo
TOOLS := $(TARGET)/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(firstword $(wildcard $(TOOLS)/bin/cargo-deny) $(shell command -v cargo-deny 2>/dev/null))
# Of the machine that builds, such as x86_64-unknown-linux-gnu; asked only by the target that needs it.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help demo test check check-tools advisories bench static

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build Proreus, record an outage in a playground cluster, and end: no cluster needed
	cargo build --locked --package proreus
	@rm -rf $(DEMO)
	$(PROREUS) demo --once --data-dir $(DEMO) -o json
	@printf '\nThe journal is in %s. Three questions to ask it:\n\n' '$(DEMO)'
	@printf '  %s\n' \
	  '$(PROREUS) changes --kind Node --since 9m --data-dir $(DEMO)' \
	  '$(PROREUS) history deployment/catalog --namespace shop --data-dir $(DEMO)' \
	  '$(PROREUS) get pods --namespace shop --at 2026-03-02T09:05:00Z --data-dir $(DEMO)'

# One profile and one set of features for everything: `--all-targets` builds what `cargo test` runs, and xtask is called as a program and not
# through `cargo run`, which would resolve features for xtask alone and compile its dependencies a second time.
test: ## Install what is missing, then run every test
	tests/prepare
	cargo build --workspace --all-targets --locked
	$(TARGET)/debug/xtask bench-binaries
	@status=0; PATH="$(abspath $(TARGET))/venv/bin:$$PATH" cargo test --workspace --locked --no-fail-fast 2>&1 | tee $(TARGET)/test.log || status=$$?; \
	printf '\n'; awk -f tests/summary.awk $(TARGET)/test.log; exit $$status

check: ## Ask rustfmt, clippy, tidy and cargo-deny; offline
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo run --quiet --locked --package xtask -- tidy
ifdef CARGO_DENY
	$(CARGO_DENY) --offline --locked check bans licenses sources
else
	@echo 'check: cargo-deny is not installed, so bans, licences and sources were not checked' >&2
	@echo 'hint: make check-tools' >&2
endif

check-tools: ## Install cargo-deny under target/, and fetch the crates it reads
	cargo install --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)
	cargo fetch --locked

advisories: ## Ask the advisory database about the lock file; needs the network and `make check-tools`
	$(or $(CARGO_DENY),$(error cargo-deny is not installed; run `make check-tools`)) --locked check advisories

bench: ## Measure, and print the report with its baselines; takes half an hour and a quiet machine
	tests/prepare
	cargo build --release --locked --package proreus --package proreus-bench --package xtask
	$(TARGET)/release/xtask bench

static: ## Build the one static binary that the image holds, and prove that it is static
	RUSTFLAGS="$${RUSTFLAGS:-} -C target-feature=+crt-static" cargo build --release --locked --package proreus --target $(HOST)
	@mkdir -p $(TARGET)/static
	@install -m 0755 $(TARGET)/$(HOST)/release/proreus $(TARGET)/static/proreus
	@if LC_ALL=C ldd $(TARGET)/static/proreus 2>&1 | grep -q '=>'; then echo 'static: the binary needs shared libraries' >&2; exit 1; fi
	@ls -l $(TARGET)/static/proreus

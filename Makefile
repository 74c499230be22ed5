# Everything a newcomer needs: `make demo` shows it work, `make test` proves it.

CARGO ?= cargo

.PHONY: help demo test test-deps clients check bench bench-instructions bench-micro

help: ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: ## See it work: a sample SMS API, the gate before it, the whole story
	$(CARGO) run --locked --release -- demo $(ARGS)

test: clients ## All tests; what a missing tool keeps from running shows as ignored, with the reason
	$(CARGO) test --locked

test-deps: ## Install what other people's clients and bench-instructions need (Debian packages; needs root)
	@(for tool in curl python3 node npm openssl valgrind vgdb; do command -v $$tool >/dev/null || exit 1; done; python3 -c 'import ensurepip, venv') || \
	  { apt-get update -q && apt-get install -y --no-install-recommends curl python3 python3-venv nodejs npm openssl valgrind; }

clients: ## Prepare other people's clients under target/clients (nothing is installed elsewhere)
	@sh tests/clients/prepare.sh

check: ## What has to hold before a change lands: format, lints, docs, licences, tests
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline check bans licenses sources; else echo "cargo-deny is not installed: licences and bans not checked"; fi
	$(MAKE) test

bench: ## Side-by-side with nginx, HAProxy and Envoy (some 40 minutes; ARGS="--help" tells how to take less)
	$(CARGO) build --locked --release
	bench/run $(ARGS)

bench-instructions: ## Instructions per request against bench/instructions.txt (ARGS=--update writes that)
	$(CARGO) build --locked --release
	bench/instructions $(ARGS)

bench-micro: ## What single steps of a request cost
	$(CARGO) bench --locked --bench micro

# Everything a newcomer needs: `make demo` shows it work, `make test` proves it.

CARGO ?= cargo
# Of each kind of storm.
KILLS ?= 40
# For how long `make soak` goes on.
SECONDS ?= 600

# Of each target.
RUNS ?= 1000000

# Certificates, one after the other.
SWAPS ?= 1000
# Histories that the store on Redis is led through.
CASES ?= 2000
# Of the flood.
GUESSES ?= 100000
# How much `make volume-test` sends each way.
MIB ?= 1024

# Connections that only hold their places.
CROWD ?= 10000

.PHONY: help demo reference test redis-test test-k8s test-k8s-deps image deb test-deps clients crash-test crowd-test flood-test fuzz soak volume-test slow-test test-tls check bench bench-instructions bench-micro bench-store

help: ## What can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: ## See it work: a sample SMS API, the gate before it, the whole story (TLS=1: over HTTPS)
	$(CARGO) run --locked --release -- demo $(if $(TLS),--tls) $(ARGS)

test: clients ## All tests; what a missing tool keeps from running shows as ignored, with the reason
	$(CARGO) test --locked

test-k8s: clients image ## The manifests, and the image as pods: alone before a sample app, and several of them (root; test-k8s-deps)
	@python=target/clients/kubernetes/bin; test -x $$python/kubectl || { echo "test-k8s: kubectl is not prepared, see target/clients/kubernetes.log"; exit 1; }; \
	  $$python/python -B tests/k8s/manifests.py --binary $(or $(CARGO_TARGET_DIR),target)/image/portcullis --kubectl $$python/kubectl --crds target/clients/crds && \
	  $$python/python -B tests/k8s/pod.py --kubectl $$python/kubectl && $$python/python -B tests/k8s/edge.py --kubectl $$python/kubectl && \
	  $$python/python -B tests/k8s/redis.py --kubectl $$python/kubectl

test-k8s-deps: ## Install what test-k8s needs (Debian packages; needs root)
	@for tool in podman runc conmon catatonit slirp4netns openssl redis-server; do command -v $$tool >/dev/null || missing=yes; done; test -z "$$missing" || \
	  { apt-get update -q && apt-get install -y --no-install-recommends podman buildah runc conmon catatonit slirp4netns netavark uidmap openssl redis-server; }

image: ## A container image of one static binary and its bill of materials, from no registry (needs podman, buildah or docker)
	image/build

deb: ## A Debian package of the program as a service (needs cargo-deb: cargo install --locked cargo-deb)
	$(CARGO) build --locked --release
	@built=$(or $(CARGO_TARGET_DIR),target); papers=target/package; rm -rf $$papers && mkdir -p $$papers/man && \
	  $$built/release/portcullis man $$papers/man && \
	  $$built/release/portcullis completions bash >$$papers/portcullis.bash && \
	  $$built/release/portcullis completions zsh >$$papers/_portcullis && \
	  $$built/release/portcullis completions fish >$$papers/portcullis.fish
	$(CARGO) deb --no-build --locked

test-deps: ## Install what other people's clients and bench-instructions need (Debian packages; needs root)
	@(for tool in curl python3 node npm openssl nghttp slowhttptest testssl strace valgrind vgdb chromium promtool redis-server redis-sentinel redis-cli; do command -v $$tool >/dev/null || exit 1; done; python3 -c 'import ensurepip, venv') || \
	  { apt-get update -q && RUNLEVEL=1 apt-get install -y --no-install-recommends curl python3 python3-venv nodejs npm openssl nghttp2-client slowhttptest testssl.sh strace valgrind chromium prometheus redis-server redis-sentinel redis-tools; }

clients: ## Prepare other people's clients under target/clients (nothing is installed elsewhere)
	@sh tests/clients/prepare.sh

crash-test: ## Kill the gate 240 times and more, and ask for what it had acknowledged (KILLS=100: so often in each storm)
	@mkdir -p target
	@(PORTCULLIS_CRASH_KILLS=$(KILLS) $(CARGO) test --locked --test it crash:: -- --nocapture --test-threads=1 2>&1; \
	  echo "ended with $$?") | tee target/crash-test.log
	@awk '/^storm .* kills, / { sub(/.*: /, ""); kills += $$1; rotations += $$3; sessions += $$5; violations += $$8 } \
	  /^ended with / { status = $$3 } \
	  END { if (status) { print "crash-test: failed, see above"; exit 1 } \
	    print "crash-test: " kills " kills, " rotations " rotations, " sessions " sessions examined, violations: " violations }' \
	  target/crash-test.log

redis-test: ## The store on Redis at length: CASES=2000 histories, 40 kills in each storm, an outage of 60 s (PORTCULLIS_REDIS_SERVER=valkey-server)
	PORTCULLIS_MODEL_CASES=$(CASES) $(CARGO) test --locked --lib -- store::tests::redis an_engine_does_what
	PORTCULLIS_CRASH_KILLS=40 PORTCULLIS_REDIS_OUTAGE_SECONDS=60 $(CARGO) test --locked --test it -- redis:: crash::shared --nocapture

fuzz: ## Feed every reader of foreign bytes with anything (needs a C++ compiler; RUNS=1000000: executions of each)
	fuzz/run -r $(RUNS)

soak: ## A WebSocket and a stream of events for ten minutes (SECONDS=600), ended by a revocation
	PORTCULLIS_SOAK_SECONDS=$(SECONDS) $(CARGO) test --locked --test it streams::soak -- --nocapture

flood-test: ## 100,000 guesses from 10,000 addresses at 50 users, and what others notice of them (GUESSES=2000: a short one)
	PORTCULLIS_FLOOD_GUESSES=$(GUESSES) $(CARGO) test --locked --release --test it legacy::flood -- --nocapture

crowd-test: ## 10,000 idle and byte-a-second connections, and what others notice of them (some 2 minutes on a quiet machine)
	ulimit -n "$$(ulimit -Hn)"; PORTCULLIS_HOSTILE_CONNECTIONS=$(CROWD) $(CARGO) test --locked --release --test it hostile::crowd -- --nocapture

test-tls: ## TLS as auditors look at it: sslyze, testssl.sh, and SWAPS=1000 certificates under 64 connections
	tests/tls/audit
	PORTCULLIS_TLS_SWAPS=$(SWAPS) PORTCULLIS_TLS_CONNECTIONS=64 $(CARGO) test --locked --release --test it tls::renewal::swaps -- --nocapture

volume-test: ## A gibibyte up and down over HTTP/1.1 and HTTP/2, and the memory that takes (MIB=1024)
	PORTCULLIS_VOLUME_MIB=$(MIB) $(CARGO) test --locked --release --test it upstream::volume -- --nocapture --test-threads=1

slow-test: ## slowhttptest: slow heads, bodies and readers, 1,000 of each for 45 seconds
	PORTCULLIS_SLOW_CONNECTIONS=1000 PORTCULLIS_SLOW_SECONDS=45 $(CARGO) test --locked --release --test it hostile::tools -- --nocapture --test-threads=1

reference: ## Write docs/configuration.md anew, from config.toml and the code
	PORTCULLIS_TEST_WRITE_REFERENCE=1 $(CARGO) test --locked --lib config::tests::reference

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

bench-store: ## Durable refreshes, memory, starts, and what snapshots cost others (ARGS="--sessions 10000000")
	$(CARGO) bench --locked --bench store -- $(ARGS)

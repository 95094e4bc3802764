#!/usr/bin/env bash
# Installs what a Debian 12 machine lacks for building Arion, and says what is
# missing on any other. Quick and silent when nothing is.
set -euo pipefail
cd "$(dirname "$0")/.."

go_wanted=1.26
# grocksdb v1.7.15 calls C functions that came with RocksDB 7.8 and were gone
# in 8.0, so the library must be of this line.
rocksdb_wanted=7.8

# librocksdb-dev depends on the compression libraries, but a static link needs
# their archives by name, so they are listed.
packages=(ca-certificates g++ gcc git libbz2-dev liblz4-dev librocksdb-dev
  libsnappy-dev libzstd-dev make zlib1g-dev)

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  if (($#)); then printf '  %s\n' "$@" >&2; fi
  exit 1
}

is_debian12() {
  [[ -r /etc/os-release ]] && (. /etc/os-release && [[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]])
}

missing_packages() {
  local name
  for name in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null) == 'install ok installed' ]] || echo "$name"
  done
}

install_packages() {
  local sudo=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "packages are missing and this is not root: $*" \
      "run as root: apt-get install $*"
    sudo=(sudo)
  fi
  echo "installing: $*"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# On a system other than Debian 12 nothing is installed; the parts are looked
# for and all that is missing is named at once.
check_other_system() {
  local lacks=() tool version
  for tool in gcc g++ make; do
    command -v "$tool" >/dev/null || lacks+=("$tool")
  done
  if command -v gcc >/dev/null; then
    version=$(printf '#include <rocksdb/version.h>\nV ROCKSDB_MAJOR.ROCKSDB_MINOR\n' |
      gcc -E -P - 2>/dev/null | sed -n 's/^V //p' | tr -d ' ') || version=
    [[ $version == "$rocksdb_wanted" ]] ||
      lacks+=("RocksDB $rocksdb_wanted headers and static library (found: ${version:-none})")
    for lib in snappy lz4 zstd bz2 z; do
      [[ $(gcc -print-file-name="lib$lib.a") == /* ]] || lacks+=("static library lib$lib.a")
    done
  fi
  if ((${#lacks[@]})); then
    fail 'this is not Debian 12, so nothing was installed; missing here:' "${lacks[@]}"
  fi
}

check_go() {
  local found
  command -v go >/dev/null || fail "Go $go_wanted or newer is needed and was not found in PATH" \
    'install it from https://go.dev/dl/ (unpack to /usr/local/go)'
  # Asked inside the module, so that a Go that fetches newer ones has done so.
  found=$(go env GOVERSION 2>&1) || fail "Go cannot build this module: $found"
  found=${found#go}
  printf '%s\n%s\n' "$go_wanted" "$found" | sort -V -C ||
    fail "Go $go_wanted or newer is needed, found $found" 'install it from https://go.dev/dl/'
}

if is_debian12; then
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
else
  check_other_system
fi
check_go

#!/usr/bin/env bash
# Measures the promises of docs/performance.md and prints them as a table.
#
# Usage: scripts/bench-targets.sh [flags of test/bench/targets, such as -rounds 5]
#   -pegasus       instead, hold gets and puts against figures of Apache Pegasus
#   ARION=BINARY   measure one that is built already
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/arion-targets.XXXXXX")
trap 'rm -rf "$work"' EXIT
command -v redis-server >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q redis-server >&2
tags=$(sed -n 's/^TAGS *:= *//p' Makefile)
if [ -z "${ARION:-}" ]; then
  ARION=bin/arion
  go build -trimpath -tags "$tags" -o "$ARION" ./cmd/arion
fi
go build -tags "$tags" -o "$work/peer" ./test/bench/peer
go build -o "$work/targets" ./test/bench/targets
"$work/targets" -arion "$ARION" -peer "$work/peer" -dir "$work" "$@"

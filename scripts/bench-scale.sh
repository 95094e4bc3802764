#!/usr/bin/env bash
# Measures what more partitions, records, bytes and connections cost, and writes
# docs/scale.md with its pictures.
#
# Usage: scripts/bench-scale.sh [flags of test/bench/scale, such as -short -out DIR]
#   ARION=BINARY   measure one that is built already
#   BENCH_DIR=DIR  keep data there while it runs, some 5 GB; default $TMPDIR
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/arion-scale.XXXXXX")
trap 'rm -rf "$work"' EXIT
tags=$(sed -n 's/^TAGS *:= *//p' Makefile)
if [ -z "${ARION:-}" ]; then
  ARION=bin/arion
  go build -trimpath -tags "$tags" -o "$ARION" ./cmd/arion
fi
go build -o "$work/scale" ./test/bench/scale
"$work/scale" -arion "$ARION" -dir "$work" "$@"

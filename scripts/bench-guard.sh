#!/usr/bin/env bash
# Compares this tree with an older commit, in short alternating runs, and prints
# throughput, latencies, ratios and the servers' CPU of a call. It judges nothing:
# on a busy machine a ratio of 0.9 may be noise. CPU per call is disturbed less; run
# it again before believing either.
#
# Usage: scripts/bench-guard.sh [OLD]     OLD: a commit; default the last tag, or
#   ROUNDS=3 DURATION=2 PORT=29800        without one the commit 50 before this
#   RECORDS=100000 BENCH_DIR=DIR          some three minutes with these
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${ROUNDS:-3}
DURATION=${DURATION:-2}
PORT=${PORT:-29800}
RECORDS=${RECORDS:-100000}
old=${1:-$(git describe --tags --abbrev=0 2>/dev/null || git rev-list --first-parent --max-count=51 HEAD | tail -n 1)}
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/arion-guard.XXXXXX")
declare -A pids=()

# Only what was started here is ended, by its number.
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  git worktree remove --force "$work/old" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

tags=$(sed -n 's/^TAGS *:= *//p' Makefile)
git worktree add --quiet --detach "$work/old" "$old"
(cd "$work/old" && go build -trimpath -tags "$tags" -o "$work/arion-old" ./cmd/arion)
go build -trimpath -tags "$tags" -o "$work/arion-new" ./cmd/arion
go build -o "$work/table" ./test/bench/table

start() { # version port
  "$work/arion-$1" onebox --dir "$work/data-$1" --replicas 3 --meta-port "$2" --replica-port $(($2 + 5)) \
    --table bench1:8:1 --table bench3:8:3 >"$work/$1.log" 2>&1 &
  pids[$1]=$!
  for _ in $(seq 300); do grep -q READY "$work/$1.log" && return; sleep 0.1; done
  tail -n 5 "$work/$1.log" >&2
  exit 1
}

# The load generator is the new one for both: only the servers are compared.
bench() { # version table workload in-flight
  "$work/arion-new" bench --meta "127.0.0.1:${ports[$1]}" --server-pid "${pids[$1]}" --table "$2" --workload "$3" --in-flight "$4" --records "$RECORDS" \
    --duration "${DURATION}s" --sort-keys 100 --batch 100 --quiet --output json
}

declare -A ports=([old]=$PORT [new]=$((PORT + 20)))
for version in old new; do start $version "${ports[$version]}"; done
for table in bench1 bench3; do
  for version in old new; do bench $version $table load 512 >/dev/null; done
done
order=(old new)
for ((round = 1; round <= ROUNDS; round++)); do
  echo "round $round of $ROUNDS" >&2
  for load in "bench1 get 1" "bench1 get 512" "bench1 multi_get 16" "bench1 scan 8" "bench1 set 1" "bench1 set 512" \
    "bench3 set 1" "bench3 set 512" "bench3 mixed 128"; do
    read -r table workload window <<<"$load"
    for version in "${order[@]}"; do
      printf '%s\t%s, %s in flight, %s replicas\t%s\n' "$version" "$workload" "$window" "${table#bench}" \
        "$(bench $version "$table" "$workload" "$window")" >>"$work/runs"
    done
    # Who comes second finds the disk and the caches as the first left them.
    order=("${order[1]}" "${order[0]}")
  done
done
echo "old is $(git rev-parse --short "$old"), new is $(git rev-parse --short HEAD) and what is not committed"
echo "medians of $ROUNDS runs of $DURATION s, load $(cut -d' ' -f1-3 /proc/loadavg)"
echo
# The first column is what the others are held against.
grep '^old' "$work/runs" | cat - <(grep '^new' "$work/runs") | "$work/table"

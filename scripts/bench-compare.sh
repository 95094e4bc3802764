#!/usr/bin/env bash
# Compares Arion with what a user would pick instead, on this machine: the same
# value sizes, the same calls in flight, the same durability, alternating runs.
#
# Usage: scripts/bench-compare.sh [OUT]      OUT gets every run; default a new file
#   ROUNDS=3 DURATION=3 SIZES="128 1024" RECORDS=100000 PORT=29700 BENCH_DIR=DIR
#   ARION=BINARY compares one that is built already
#
# All servers run the whole time and only one is asked at a time. The clients are
# equally lean: `arion bench` for Arion, test/bench/peer for the others. Redis has
# one copy, etcd the number of members in its name, Arion the replicas in its name.
# Each member and each replica server is a process of its own. Keys are alike, one
# record to each; values are random, so that nobody gains by compression.
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${ROUNDS:-3}
DURATION=${DURATION:-3}
SIZES=${SIZES:-128 1024}
RECORDS=${RECORDS:-100000}
PORT=${PORT:-29700}
LOADS=${LOADS:-1:1 50:50 4:512} # connections:calls in flight
CONTESTANTS=${CONTESTANTS:-redis-always redis-everysec etcd-1 etcd-3 arion-1 arion-3}
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/arion-compare.XXXXXX")
out=${1:-$work.runs}
pids=()
clusters=()

# Only what was started here is ended, by its number.
cleanup() {
  for dir in "${clusters[@]}"; do scripts/cluster.sh stop --dir "$dir" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT

need() {
  command -v "$1" >/dev/null && return
  echo "$1 is missing; installing $2" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$2" >&2
}

background() { # log command...
  local log=$1
  shift
  "$@" >"$work/$log.log" 2>&1 &
  pids+=($!)
}

wait_for() { # what, command...
  local what=$1
  shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "$what did not start; see below" >&2
  tail -n 5 "$work"/*.log >&2
  exit 1
}

start_redis() { # name port policy
  mkdir "$work/$1"
  background "$1" redis-server --port "$2" --bind 127.0.0.1 --dir "$work/$1" --save "" --appendonly yes \
    --appendfsync "$3" --daemonize no
  wait_for "$1" redis-cli -p "$2" ping
}

start_etcd() { # name port members
  local cluster="" i
  for ((i = 0; i < $3; i++)); do cluster+="m$i=http://127.0.0.1:$(($2 + 2 * i + 1)),"; done
  for ((i = 0; i < $3; i++)); do
    local client="http://127.0.0.1:$(($2 + 2 * i))" peer="http://127.0.0.1:$(($2 + 2 * i + 1))"
    background "$1-$i" etcd --name "m$i" --data-dir "$work/$1-$i" --initial-cluster "${cluster%,}" \
      --listen-client-urls "$client" --advertise-client-urls "$client" \
      --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
      --quota-backend-bytes $((4 << 30)) --log-level error
  done
  wait_for "$1" env ETCDCTL_API=3 etcdctl --endpoints "127.0.0.1:$2" endpoint health
}

start_arion() { # name port replicas
  ARION=$ARION scripts/cluster.sh start --dir "$work/$1" --metas 1 --replicas "$3" --meta-port "$2" \
    --replica-port $(($2 + 10)) >"$work/$1.log" 2>&1 || { tail -n 5 "$work/$1.log" >&2; exit 1; }
  clusters+=("$work/$1")
  "$ARION" --meta "127.0.0.1:$2" --yes table create bench -p 8 -r "$3" >"$work/$1.log" 2>&1 ||
    { tail -n 5 "$work/$1.log" >&2; exit 1; }
}

start() {
  case $1 in
    redis-always) start_redis "$1" "$PORT" always ;;
    redis-everysec) start_redis "$1" $((PORT + 1)) everysec ;;
    etcd-1) start_etcd "$1" $((PORT + 10)) 1 ;;
    etcd-3) start_etcd "$1" $((PORT + 20)) 3 ;;
    arion-1) start_arion "$1" $((PORT + 40)) 1 ;;
    arion-3) start_arion "$1" $((PORT + 70)) 3 ;;
  esac
}

# run contestant workload size connections in-flight: prints the run's JSON.
run() {
  local common=(-records "$RECORDS" -value-size "$3" -connections "$4" -in-flight "$5" -duration "${DURATION}s" -workload "$2")
  case $1 in
    redis-always) "$work/peer" -mode resp -addr "127.0.0.1:$PORT" "${common[@]}" ;;
    redis-everysec) "$work/peer" -mode resp -addr "127.0.0.1:$((PORT + 1))" "${common[@]}" ;;
    etcd-1) "$work/peer" -mode etcd -addr "127.0.0.1:$((PORT + 10))" "${common[@]}" ;;
    etcd-3) "$work/peer" -mode etcd -addr "127.0.0.1:$((PORT + 20)),127.0.0.1:$((PORT + 22)),127.0.0.1:$((PORT + 24))" "${common[@]}" ;;
    arion-1) run_arion $((PORT + 40)) "${@:2}" ;;
    arion-3) run_arion $((PORT + 70)) "${@:2}" ;;
    floor-*) "$work/peer" -mode "${1#floor-}" -dir "$work" "${common[@]}" ;;
  esac
}

run_arion() { # port workload size connections in-flight
  "$ARION" bench --meta "127.0.0.1:$1" --table bench --workload "$2" --value-size "$3" --connections "$4" \
    --in-flight "$5" --records "$RECORDS" --duration "${DURATION}s" --distribution uniform --sort-keys 1 --quiet --output json
}

record() { # contestant label workload size connections in-flight
  local json
  json=$(run "$1" "${@:3}") || { echo "$1 failed under $2" >&2; return 0; }
  printf '%s\t%s\t%s\n' "$1" "$2" "$json" >>"$out"
}

need redis-server redis-server
need etcd etcd-server
need etcdctl etcd-client
tags=$(sed -n 's/^TAGS *:= *//p' Makefile)
if [ -z "${ARION:-}" ]; then
  ARION=$PWD/bin/arion
  go build -trimpath -tags "$tags" -o "$ARION" ./cmd/arion
fi
go build -tags "$tags" -o "$work/peer" ./test/bench/peer
go build -o "$work/table" ./test/bench/table
: >"$out"

for c in $CONTESTANTS; do start "$c"; done
for size in $SIZES; do
  for c in $CONTESTANTS; do run "$c" load "$size" 4 512 >/dev/null; done
  for ((round = 1; round <= ROUNDS; round++)); do
    echo "$size bytes, round $round of $ROUNDS" >&2
    for shape in $LOADS; do
      connections=${shape%:*} window=${shape#*:}
      for workload in get set; do
        for c in $CONTESTANTS; do
          record "$c" "$workload, $size B, $connections conn, $window in flight" "$workload" "$size" "$connections" "$window"
        done
      done
    done
    for floor in echo framed rocks; do
      record "floor-$floor" "get, $size B, 4 conn, 512 in flight" get "$size" 4 512
    done
    record floor-sync "set, $size B, 1 conn, 1 in flight" set "$size" 1 1
  done
done

echo
echo "$(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r), $(date -u +%FT%RZ), load $(cut -d' ' -f1-3 /proc/loadavg)"
echo "$(redis-server --version | cut -d' ' -f1-3), $(etcd --version | head -n 1), $("$ARION" version | head -n 1)"
echo "Operations per second, p50 / p99, ratio to the first column; medians of $ROUNDS runs of $DURATION s."
echo
"$work/table" <"$out"
echo
echo "runs: $out" >&2

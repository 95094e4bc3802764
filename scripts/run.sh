#!/usr/bin/env bash
# make run: a onebox with table `temp`, and on a terminal the shell on it. The
# onebox ends with the shell. Without a terminal it serves until stopped.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${1:-data/onebox}
mkdir -p "$dir"
onebox=(bin/arion onebox --dir "$dir" --table temp:8)

if [[ ! -t 0 || ! -t 1 ]]; then
  exec "${onebox[@]}"
fi

log=$dir/onebox.log
# Its own process group: Ctrl-C at the prompt must not reach the servers.
set -m
"${onebox[@]}" >"$dir/ready" 2>"$log" &
pid=$!
set +m
trap 'kill "$pid" 2>/dev/null && wait "$pid" || true' EXIT

until meta=$(sed -n 's/^READY //p' "$dir/ready") && [[ -n $meta ]]; do
  if ! kill -0 "$pid" 2>/dev/null; then
    tail -n 20 "$log" >&2
    exit 1
  fi
  sleep 0.1
done
echo "onebox on $meta, data in $dir, log in $log; it stops with the shell"
bin/arion shell --meta "$meta" --table temp

#!/usr/bin/env bash
# A local cluster of separate processes on 127.0.0.1, to be killed at will.
#
#   cluster.sh start --dir DIR [--metas 3] [--replicas 3]
#                    [--meta-port 34601] [--replica-port 34801]
#   cluster.sh --dir DIR stop | status
#   cluster.sh --dir DIR kill NAME | pause NAME | resume NAME | restart NAME
#
# NAME is meta1.. or replica1... start prints READY and the meta list, then
# returns; on a cluster that was started before it starts what does not run.
# status prints `NAME PID ADDRESS STATE` per server; STATE is running, paused
# or dead. kill is kill -9; stop asks politely first.
#
# Per server, DIR holds NAME.toml (settings), NAME.log, NAME.pid and NAME/ (data).
set -euo pipefail

arion=${ARION:-$(cd "$(dirname "$0")/.." && pwd)/bin/arion}
ready_timeout=60 # seconds until every server must be ready
stop_timeout=15  # seconds a server may take to stop before kill -9

fail() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-1}"
}

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
}

# --- layout -----------------------------------------------------------------

# The numbers given at the first start are kept, so that later commands and
# starts need only --dir.
save_layout() {
  printf 'metas=%d\nreplicas=%d\nmeta_port=%d\nreplica_port=%d\n' \
    "$metas" "$replicas" "$meta_port" "$replica_port" >"$dir/cluster.conf"
}

load_layout() {
  [[ -r $dir/cluster.conf ]] || fail "$dir holds no cluster; start one with: cluster.sh start --dir $dir"
  local key value
  while IFS='=' read -r key value; do
    case $key in
      metas | replicas | meta_port | replica_port) printf -v "$key" '%d' "$value" ;;
      *) fail "$dir/cluster.conf is damaged: $key" ;;
    esac
  done <"$dir/cluster.conf"
}

names() {
  local i
  for ((i = 1; i <= metas; i++)); do echo "meta$i"; done
  for ((i = 1; i <= replicas; i++)); do echo "replica$i"; done
}

role_of() { echo "${1%%[0-9]*}"; }

address_of() {
  local number=${1##*[a-z]} port=$replica_port
  if [[ $(role_of "$1") == meta ]]; then port=$meta_port; fi
  echo "127.0.0.1:$((port + number - 1))"
}

meta_list() {
  local i list=
  for ((i = 1; i <= metas; i++)); do list+=,$(address_of "meta$i"); done
  echo "${list#,}"
}

check_name() {
  # Not through a pipe: grep would leave before the writer is done, a failure with pipefail.
  grep -qx -- "$1" <<<"$(names)" || fail "no server is called '$1'; there are: $(names | tr '\n' ' ')" 2
}

# --- processes --------------------------------------------------------------

# Prints the pid of a server if it runs. The number in the file may long belong
# to somebody else, so the process must carry our own command line.
pid_of() {
  local pid line
  pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  line=$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null) || return 1
  [[ $line == *" $(role_of "$1") --config $dir/$1.toml "* ]] || return 1
  [[ $(process_state "$pid") != Z ]] || return 1
  echo "$pid"
}

process_state() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null; }

signal() {
  local pid
  pid=$(pid_of "$2") || fail "$2 does not run"
  kill "-$1" "$pid"
}

wait_gone() {
  local deadline=$((SECONDS + stop_timeout))
  while pid_of "$1" >/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

launch() {
  local name=$1
  if pid_of "$name" >/dev/null; then return; fi
  write_settings "$name"
  # A session of its own and no inherited descriptors: the server outlives this
  # script and keeps no pipe of its caller open.
  setsid "$arion" "$(role_of "$name")" --config "$dir/$name.toml" \
    </dev/null >>"$dir/$name.log" 2>&1 &
  echo $! >"$dir/$name.pid"
  # Until the new program is in place, its command line is still this script's.
  local pid=$! tries
  for ((tries = 0; tries < 100; tries++)); do
    if pid_of "$name" >/dev/null || [[ ! -d /proc/$pid ]]; then return; fi
    sleep 0.02
  done
}

# Values that a person changed in the file stay: it is written only once.
write_settings() {
  local file=$dir/$1.toml quoted
  if [[ -e $file ]]; then return; fi
  quoted=$(meta_list)
  cat >"$file" <<TOML
[node]
dir = "$dir/$1"
name = "$1"

[rpc]
listen = "$(address_of "$1")"

[meta]
servers = ["${quoted//,/\", \"}"]

[replica]
block_cache = "128MB"
write_buffer = "64MB"
TOML
}

# --- readiness --------------------------------------------------------------

# The status line of GET /readyz, without needing curl.
http_ready() {
  local line address=$1
  {
    exec 3<>"/dev/tcp/${address%:*}/${address#*:}" || return 1
    printf 'GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n' "$address" >&3
    IFS= read -r -t 2 line <&3 || line=
    exec 3<&- 3>&-
  } 2>/dev/null
  [[ $line == *' 200'* ]]
}

wait_ready() {
  local name deadline=$((SECONDS + ready_timeout))
  for name in "$@"; do
    until (http_ready "$(address_of "$name")"); do
      pid_of "$name" >/dev/null || {
        tail -n 5 "$dir/$name.log" >&2
        fail "$name ended while starting, see $dir/$name.log"
      }
      ((SECONDS < deadline)) || fail "$name is not ready after ${ready_timeout}s, see $dir/$name.log"
      sleep 0.05
    done
  done
}

# --- commands ---------------------------------------------------------------

cmd_start() {
  [[ -x $arion ]] || fail "$arion is missing; run make build"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if [[ -r $dir/cluster.conf ]]; then load_layout; else save_layout; fi
  local all
  mapfile -t all < <(names)
  for name in "${all[@]}"; do launch "$name"; done
  wait_ready "${all[@]}"
  echo "READY $(meta_list)"
}

cmd_stop() {
  local name pid
  for name in $(names); do
    if pid=$(pid_of "$name"); then kill -CONT "$pid" && kill -TERM "$pid"; fi
  done
  for name in $(names); do
    if ! wait_gone "$name"; then
      echo "$name did not stop within ${stop_timeout}s, killed" >&2
      signal KILL "$name"
    fi
    rm -f "$dir/$name.pid"
  done
}

cmd_status() {
  local name pid state
  for name in $(names); do
    state=dead
    if pid=$(pid_of "$name"); then
      state=running
      if [[ $(process_state "$pid") == [Tt] ]]; then state=paused; fi
    else
      pid=-
    fi
    echo "$name $pid $(address_of "$name") $state"
  done
}

cmd_kill() {
  signal KILL "$1"
  wait_gone "$1" || fail "$1 is still there"
}

cmd_restart() {
  local pid
  if pid=$(pid_of "$1"); then
    kill -CONT "$pid"
    kill -TERM "$pid"
    wait_gone "$1" || signal KILL "$1"
    wait_gone "$1" || fail "$1 is still there"
  fi
  launch "$1"
  wait_ready "$1"
}

# --- arguments --------------------------------------------------------------

dir='' command='' name=''
metas=3 replicas=3 meta_port=34601 replica_port=34801

number() {
  [[ ${2:-} =~ ^[0-9]+$ && $2 -le 65535 ]] || fail "$1 needs a number, not '${2:-}'" 2
  printf '%d' "$2"
}

while (($#)); do
  case $1 in
    --dir) dir=${2:-} && shift 2 || usage ;;
    --metas) metas=$(number "$1" "${2:-}") && shift 2 ;;
    --replicas) replicas=$(number "$1" "${2:-}") && shift 2 ;;
    --meta-port) meta_port=$(number "$1" "${2:-}") && shift 2 ;;
    --replica-port) replica_port=$(number "$1" "${2:-}") && shift 2 ;;
    -h | --help) usage ;;
    -*) fail "unknown flag $1" 2 ;;
    *)
      if [[ -z $command ]]; then command=$1; elif [[ -z $name ]]; then name=$1; else usage; fi
      shift
      ;;
  esac
done

[[ -n $dir && -n $command ]] || usage
case $metas in 1 | 3 | 5) ;; *) fail "--metas must be 1, 3 or 5" 2 ;; esac
((replicas >= 1)) || fail "--replicas must be at least 1" 2

if [[ $command == start ]]; then
  cmd_start
  exit
fi
[[ -d $dir ]] || fail "$dir does not exist"
dir=$(cd "$dir" && pwd)
load_layout
case $command in
  stop) cmd_stop ;;
  status) cmd_status ;;
  kill | pause | resume | restart)
    [[ -n $name ]] || usage
    check_name "$name"
    case $command in
      kill) cmd_kill "$name" ;;
      pause) signal STOP "$name" ;;
      resume) signal CONT "$name" ;;
      restart) cmd_restart "$name" ;;
    esac
    ;;
  *) usage ;;
esac

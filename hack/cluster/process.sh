# shellcheck shell=bash
# Processes that outlive the shell that started them. A later shell finds each of them, or finds out that it has ended.
#
# A pid alone is not enough: the machine may have given it to another process. The pid together with the start time is. And
# everything of the node runs from $STATE/bin, so a process whose executable is there belongs to the node, also when the
# shell that started it was killed before it could write down the pid.

# started_at PID: clock ticks since boot; field 22 of proc(5)'s stat, counted after the name, which may hold anything.
# Prints nothing when there is no such process, or only a zombie.
started_at() {
  local stat fields
  # Not with $(<…), which ends the shell where the process ends between the open and the read.
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  read -ra fields <<<"${stat##*) }"
  [ "${fields[0]}" = Z ] || echo "${fields[19]}"
}

# start NAME COMMAND...: in the node's network and in a session of its own. It inherits only root rights from the caller.
start() {
  local name=$1 pid started
  shift
  env -i PATH="$STATE/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root \
    setsid nsenter --net="$NETNS" -- "$@" </dev/null >>"$LOGS/$name.log" 2>&1 9>&- &
  pid=$!
  started=$(started_at "$pid") # it may be gone by now
  echo "$pid $started" >"$RUN/pids/$name"
  disown "$pid" # or the shell would report how it ended
}

# is_alive NAME: whether the process that was started under this name still runs.
is_alive() {
  local pid started
  { read -r pid started <"$RUN/pids/$1"; } 2>/dev/null && [ -n "$started" ] && [ "$(started_at "$pid")" = "$started" ]
}

# stop NAME: at once. No process here has anything to save, and the API server would wait a minute for its watchers.
stop() {
  local pid started
  is_alive "$1" || return 0
  read -r pid started <"$RUN/pids/$1"
  kill -KILL "$pid" 2>/dev/null || true
  while is_alive "$1"; do sleep 0.02; done
}

# processes_of FOLDER: pids of all that runs from this folder of binaries.
processes_of() {
  # Find fails when a process ends before it has looked at it.
  { find /proc -maxdepth 2 -name exe -lname "$1/*" 2>/dev/null || true; } | cut -d/ -f3
}

# kill_all COMMAND...: all pids that the command prints, until it prints none.
kill_all() {
  local found pids deadline=$((SECONDS + 20))
  while :; do
    found=$("$@")
    [ -n "$found" ] || return 0
    mapfile -t pids <<<"$found"
    kill -KILL "${pids[@]}" 2>/dev/null || true
    [ $SECONDS -lt $deadline ] || die "cannot end process ${pids[*]}"
    sleep 0.05
  done
}

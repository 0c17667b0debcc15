# shellcheck shell=bash
# A Docker engine for machines that have none: of Debian's packages, started by hand, with all its files in folders of its
# own. It leaves the machine's firewall, routes and sysctls alone: its only network is the one that kind makes, a bridge
# without a way out. An engine that somebody else runs is used, and never touched.

ENGINE_STATE=/var/lib/bindery-engine
ENGINE_RUN=/run/bindery-engine
ENGINE_SOCKET=$ENGINE_RUN/docker.sock
ENGINE_LOG=$ENGINE_STATE/dockerd.log
ENGINE_POOL=198.18.128.0/18 # beside the local node's addresses, of the same range

# Everybody uses it who does not say otherwise.
if [ -z "${DOCKER_HOST:-}" ] && [ -e "$ENGINE_SOCKET" ]; then
  export DOCKER_HOST=unix://$ENGINE_SOCKET
fi

engine_is_alive() { [ "${DOCKER_HOST:-}" = "unix://$ENGINE_SOCKET" ] && kind_has_engine; }

engine_up() {
  engine_packages
  # Where the machine has a service manager, the package has started an engine.
  if kind_has_engine; then
    say 'the engine of the package answers'
    return
  fi
  engine_down # what is left of one that has died
  engine_folders
  trap 'say "failed; the log of the engine is $ENGINE_LOG"' EXIT
  PATH=$ENGINE_STATE/bin:/usr/sbin:/usr/bin:/sbin:/bin setsid dockerd --config-file "$ENGINE_STATE/daemon.json" </dev/null >>"$ENGINE_LOG" 2>&1 9>&- &
  engine_await $!
  trap - EXIT
  say "an engine of our own answers at $ENGINE_SOCKET"
}

engine_packages() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io)
  command -v docker >/dev/null || missing+=("$(engine_client_package)")
  command -v iptables >/dev/null || missing+=(iptables)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# Newer distributions have the client in a package of its own.
engine_client_package() {
  if apt-cache show docker-cli >/dev/null 2>&1; then echo docker-cli; else echo docker.io; fi
}

engine_folders() {
  local ENGINE_RUNTIMES='{}' ENGINE_RUNTIME=runc ENGINE_GROUP=${SUDO_GID:-0}
  mkdir -p "$ENGINE_STATE/bin" "$ENGINE_RUN"
  # A copy, whose path tells our processes from others.
  local name
  for name in dockerd docker-proxy containerd containerd-shim-runc-v2 runc; do
    copy_program "$(command -v "$name")" "$ENGINE_STATE/bin"
  done
  if ! engine_has_sys_resource; then
    build engine-runtime
    copy_program "$BIN/engine-runtime" "$ENGINE_STATE/bin"
    # shellcheck disable=SC2034 # the template uses them
    ENGINE_RUNTIME=engine-runtime ENGINE_RUNTIMES="{\"engine-runtime\": {\"path\": \"$ENGINE_STATE/bin/engine-runtime\"}}"
  fi
  render engine.json >"$ENGINE_STATE/daemon.json"
}

# CAP_SYS_RESOURCE is bit 24. Without it no process can lower an OOM score or raise a limit; see hack/cluster/runtime.
engine_has_sys_resource() {
  local capabilities
  capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
  (((16#$capabilities >> 24) & 1))
}

# engine_await PID: until the engine answers, or has ended.
engine_await() {
  local deadline=$((SECONDS + 60)) started
  export DOCKER_HOST=unix://$ENGINE_SOCKET
  until kind_has_engine; do
    started=$(started_at "$1")
    [ -n "$started" ] || die "the engine has ended; the end of its log: $(tail -n 5 "$ENGINE_LOG")"
    [ $SECONDS -lt $deadline ] || die 'waited too long for the engine'
    sleep 0.2
  done
}

# Leaves nothing of our engine: no container, process, mount, interface, cgroup or file. No step may fail because its work
# is done already.
engine_down() {
  local ids=() folder
  if engine_is_alive; then
    docker container ls --all --quiet | xargs -r docker container rm --force --volumes >/dev/null
    docker network prune --force >/dev/null
  fi
  # Containers of an engine that has died run on.
  for folder in "$ENGINE_RUN"/exec/containerd/daemon/io.containerd.runtime.v2.task/moby/*; do
    [ ! -e "$folder" ] || ids+=("${folder##*/}")
  done
  kill_all processes_of "$ENGINE_STATE/bin"
  kill_all engine_container_processes "${ids[@]}"
  unmount "$ENGINE_STATE" "$ENGINE_RUN"
  engine_remove_traces "${ids[@]}"
  rm -rf --one-file-system "$ENGINE_STATE" "$ENGINE_RUN"
  [ "${DOCKER_HOST:-}" != "unix://$ENGINE_SOCKET" ] || unset DOCKER_HOST
}

# engine_container_processes ID...: the cgroup of a container is docker/ID, or docker-ID.scope where systemd makes it.
engine_container_processes() {
  local id
  for id; do
    find /sys/fs/cgroup -path "*/docker?$id*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  done | sort -u
}

# engine_remove_traces ID...: the cgroups of these containers, and bridges of networks that the engine could not remove.
engine_remove_traces() {
  local id link
  for id; do
    find /sys/fs/cgroup -depth -type d -path "*/docker?$id*" -exec rmdir {} + 2>/dev/null || true
  done
  rmdir /sys/fs/cgroup/docker /sys/fs/cgroup/*/docker 2>/dev/null || true
  ip -o -4 address show to "$ENGINE_POOL" | awk '{ print $2 }' | while read -r link; do ip link delete "$link"; done
}

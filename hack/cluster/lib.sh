# shellcheck shell=bash
# What up.sh, down.sh and load.sh share: where things are, how to say things, and which cluster it is.
#
# Bash turns `set -e` off inside a function that is called under a condition. So a function there only asks a question, and
# its name says so (is, has, can): hack/verify/shell.sh holds the scripts to it.
set -euo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=$ROOT/bin
IMAGES=${IMAGES:-$BIN/images}
OUT=$BIN/cluster                  # this clone's kubeconfig and env
CONFIG=$ROOT/hack/cluster/config
LOCK=/var/lib                     # everybody can read this folder and nobody else locks it; a file would be left behind

# The version of Kubernetes that is built here.
kubernetes_version() {
  awk '$2 == "k8s.io/kubernetes" { print $3 } $1 == "k8s.io/kubernetes" { print $2 }' "$ROOT/hack/tools/kubernetes/go.mod"
}

# A proxy of the host cannot reach the node.
export NO_PROXY="${NO_PROXY:+$NO_PROXY,}198.18.0.0/15,127.0.0.1" no_proxy="${no_proxy:+$no_proxy,}198.18.0.0/15,127.0.0.1"

# shellcheck source=local.sh
source "$ROOT/hack/cluster/local.sh"
# shellcheck source=kind.sh
source "$ROOT/hack/cluster/kind.sh"
# shellcheck source=engine.sh
source "$ROOT/hack/cluster/engine.sh"

say() { echo "cluster: $*" >&2; }
die() { say "$*"; exit 1; }

# build TARGET...: makes files of bin/ with this tree's Makefile, if they are not there yet.
build() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$ROOT" --no-print-directory "${@/#/$BIN/}" >&2
}

check_choice() {
  case ${CLUSTER:-} in
  local | kind | '') ;;
  *) die "CLUSTER=$CLUSTER: it is 'local' or 'kind'" ;;
  esac
}

# Sets CLUSTER_KIND to kind or local, and CHOSEN_BECAUSE.
choose_cluster() {
  check_choice
  case ${CLUSTER:-} in
  local | kind)
    CLUSTER_KIND=$CLUSTER CHOSEN_BECAUSE="CLUSTER=$CLUSTER asks for it"
    [ "$CLUSTER" = local ] || kind_has_engine ||
      die 'CLUSTER=kind asks for kind, but no Docker engine answers. Start Docker, or install and start one: make cluster-engine'
    ;;
  *)
    if kind_has_engine; then
      CLUSTER_KIND=kind CHOSEN_BECAUSE='a Docker engine answers'
    else
      CLUSTER_KIND=local CHOSEN_BECAUSE='no Docker engine answers'
    fi
    ;;
  esac
}

# The local node needs root: starts this script again with sudo, if necessary.
become_root() {
  [ "$EUID" -ne 0 ] || return 0
  command -v sudo >/dev/null || die 'the local node needs root, or sudo'
  exec sudo env PATH="$PATH" IMAGES="$IMAGES" CLUSTER=local "$0" "$@"
}

# One up or down at a time, of all clones. The lock is released when the shell ends; a child that outlives the shell must
# not inherit descriptor 9.
lock() {
  exec 9<"$LOCK"
  flock -n 9 || { say 'waiting for another up or down to end'; flock 9; }
}

# published: the kind of the cluster that bin/cluster/env names, if it names one.
published() { [ ! -f "$OUT/env" ] || sed -n 's/^CLUSTER_KIND=//p' "$OUT/env"; }

# use_cluster [ARGUMENTS]: sets CLUSTER_KIND to that kind. Starts this script again with its ARGUMENTS as root, if that
# kind needs root.
use_cluster() {
  CLUSTER_KIND=$(published)
  case $CLUSTER_KIND in
  kind) ;;
  local) become_root "$@" ;;
  *) die 'no cluster: make cluster-up' ;;
  esac
}

# retract: removes what publish has written, before a cluster is created again: if that fails, there is none.
retract() { rm -f "$OUT/env" "$OUT/kubeconfig"; }

# forget KIND: removes bin/cluster, unless it is about a cluster of the other kind, which may still run.
forget() {
  local kind
  kind=$(published)
  if [ -z "$kind" ] || [ "$kind" = "$1" ]; then rm -rf "$OUT"; fi
}

# publish KEY=VALUE...: writes bin/cluster/env, for everybody who uses this clone; the kubeconfig is there already.
publish() {
  printf '%s\n' "$@" >"$OUT/env.new"
  mv "$OUT/env.new" "$OUT/env"
  [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$OUT"
}

VOLUME_NAMES=(volume-{01..24})

# storage: the class of volumes, and the volumes: folders of VOLUMES on the node NODE_NAME.
storage() {
  local VOLUME
  render storage-class.yaml
  for VOLUME in "${VOLUME_NAMES[@]}"; do render volume.yaml; done
}

# render FILE: a template of config/ with every @NAME@ replaced by the shell variable NAME.
render() {
  local text name
  text=$(<"$CONFIG/$1")
  while [[ $text =~ @([A-Z_]+)@ ]]; do
    name=${BASH_REMATCH[1]}
    text=${text//"@$name@"/"${!name:?is used by config/$1}"}
  done
  printf '%s\n' "$text"
}

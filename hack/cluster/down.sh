#!/usr/bin/env bash
# Takes the development cluster down, also if another clone started it, and leaves nothing of it. CLUSTER=local|kind takes down
# only that one.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check_choice
if [ "${CLUSTER:-kind}" = kind ]; then
  if kind_has_engine; then
    container=$(kind_container)
    # Where there is only the folder, a create has failed.
    if [ -n "$container" ] || [ -e "$KIND_STATE" ]; then
      say 'taking down the one in kind'
      (lock; kind_down)
    fi
  elif [ -e "$KIND_STATE" ]; then
    die "no Docker engine answers, so the cluster in kind cannot be deleted. Start Docker, or remove $KIND_STATE if there is no such cluster any more." \
      'CLUSTER=local takes only the local node down.'
  fi
  forget kind
fi
if [ "${CLUSTER:-local}" = local ]; then
  if [ -e "$STATE" ] || [ -e "$RUN" ]; then
    become_root "$@"
    say 'taking down the local node'
    (lock; local_down)
  fi
  forget local
fi

#!/usr/bin/env bash
# Stops the Docker engine that engine-up.sh has started, with every container in it, and leaves nothing of it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ ! -e "$ENGINE_STATE" ] && [ ! -e "$ENGINE_RUN" ]; then
  say 'there is no engine of our own'
  exit
fi
# Still as the user, who has the cluster's files.
if engine_is_alive; then CLUSTER=kind "$ROOT/hack/cluster/down.sh"; fi
become_root "$@"
say 'taking down the engine of our own'
lock
engine_down

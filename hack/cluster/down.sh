#!/usr/bin/env bash
# Takes the development cluster down, whichever clone started it, and leaves nothing of it. CLUSTER=local|kind takes only that one.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${CLUSTER:-kind}" = kind ] && kind_engine && kind_exists; then
  say 'taking down the one in kind'
  (lock && kind_down)
fi
if [ "${CLUSTER:-local}" = local ] && { [ -e "$STATE" ] || [ -e "$RUN" ]; }; then
  become_root "$@"
  say 'taking down the local node'
  (lock && local_down)
fi
rm -rf "$OUT"

#!/usr/bin/env bash
# Starts the development cluster, or finds it running, and writes bin/cluster/kubeconfig and bin/cluster/env.
# CLUSTER=local|kind overrides the choice between the two.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

choose_cluster
say "$CLUSTER_KIND, because $CHOSEN_BECAUSE"
if [ "$CLUSTER_KIND" = kind ]; then
  kind_choose_image
else
  # Still as the user, who then owns what is built.
  if [ ! -e "$STATE/up" ]; then
    retract
    local_build
  fi
  become_root "$@"
fi
lock
"${CLUSTER_KIND}_up"

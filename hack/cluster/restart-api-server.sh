#!/usr/bin/env bash
# Ends the API server of the development cluster at once, has it started again, and waits until it answers.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_ready() { "$BIN/kubectl" --kubeconfig "$OUT/kubeconfig" get --raw /readyz >/dev/null 2>&1; }

use_cluster "$@"
"${CLUSTER_KIND}_restart_api_server"
deadline=$((SECONDS + 120))
until is_ready; do
  [ $SECONDS -lt $deadline ] || die 'the API server does not come back'
  sleep 0.5
done
say 'the API server was started again'

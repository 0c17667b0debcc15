#!/usr/bin/env bash
# Stops the API server of the development cluster for a while. Its process stays and answers nobody: who calls it waits,
# and who watches hears nothing. It goes on whatever becomes of the caller.
# usage: outage.sh SECONDS
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=${1:?usage: outage.sh SECONDS}
[ -f "$OUT/env" ] || die 'no cluster: make cluster-up'
CLUSTER_KIND=$(sed -n 's/^CLUSTER_KIND=//p' "$OUT/env")
[ "$CLUSTER_KIND" = kind ] || become_root "$@"

trap '"${CLUSTER_KIND}_signal" CONT kube-apiserver' EXIT
"${CLUSTER_KIND}_signal" STOP kube-apiserver
say "the API server is stopped for $seconds s"
sleep "$seconds"

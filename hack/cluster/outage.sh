#!/usr/bin/env bash
# Stops the API server of the development cluster for a while. Its process stays and answers nobody: who calls it waits,
# and who watches hears nothing. It goes on whatever becomes of the caller.
# usage: outage.sh SECONDS
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=${1:?usage: outage.sh SECONDS}
use_cluster "$@"

trap '"${CLUSTER_KIND}_signal" CONT kube-apiserver' EXIT
"${CLUSTER_KIND}_signal" STOP kube-apiserver
say "the API server is stopped for $seconds s"
sleep "$seconds"

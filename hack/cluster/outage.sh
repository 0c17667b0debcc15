#!/usr/bin/env bash
# Stops the API server of the development cluster for a while. Its process stays, but answers nobody: requests wait, and
# watches get no events. It continues afterwards, also when the caller has ended.
# usage: outage.sh SECONDS
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=${1:?usage: outage.sh SECONDS}
use_cluster "$@"

trap '"${CLUSTER_KIND}_signal" CONT kube-apiserver' EXIT
"${CLUSTER_KIND}_signal" STOP kube-apiserver
say "the API server is stopped for $seconds s"
sleep "$seconds"

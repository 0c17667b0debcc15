# shellcheck shell=bash
# What the stories and check-docs.sh share: a namespace of their own, and their output.
set -euo pipefail
shopt -s inherit_errexit lastpipe

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=$ROOT/bin
LABEL=bindery.dev/demo # with the value true, on every namespace that is made here

# shellcheck disable=SC2034 # the scripts that source this use them
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

die() { printf '%s\n' "$*" >&2; exit 1; }

# The time in microseconds. The decimal separator of EPOCHREALTIME is that of the locale.
now() { printf '%s' "${EPOCHREALTIME/[^0-9]/}"; }

# seconds MICROSECONDS: with one decimal.
seconds() { printf '%d.%d' "$(($1 / 1000000))" "$(($1 % 1000000 / 100000))"; }

# use_kubeconfig FILE NAMESPACE: a copy of the cluster's kubeconfig that knows the namespace, and the project's own
# kubectl, so that commands can be typed without either.
use_kubeconfig() {
  [ -f "$BIN/cluster/kubeconfig" ] || die 'There is no cluster: make deploy'
  mkdir -p "${1%/*}"
  install -m 0600 "$BIN/cluster/kubeconfig" "$1"
  export KUBECONFIG=$1 PATH=$BIN:$PATH
  kubectl config set-context --current --namespace="$2" >/dev/null
}

# await_operator: waits until the Pod that holds the lease runs. After a restart, the next one gets the lease some seconds
# later.
await_operator() {
  local try holder phase
  for try in {1..90}; do
    holder=$(kubectl -n bindery-system get lease bindery-operator --ignore-not-found -o jsonpath='{.spec.holderIdentity}')
    phase=$(kubectl -n bindery-system get pod "${holder%%_*}" --ignore-not-found \
      -o jsonpath='{.status.phase}{.metadata.deletionTimestamp}' 2>/dev/null) || phase=''
    [ "$phase" != Running ] || return 0
    [ "$try" != 3 ] || echo 'Waiting for the operator.'
    sleep 1
  done
  die 'The operator does not run: make deploy'
}

# claim_namespace NAME: removes what an earlier run left, and creates the namespace again. A namespace that was not made
# here stays as it is, and the script fails.
claim_namespace() {
  local found
  found=$(kubectl get namespace "$1" --ignore-not-found -o jsonpath="{.metadata.name}/{.metadata.labels.${LABEL//./\\.}}")
  case $found in
  '') ;;
  "$1/true")
    echo "Removing what an earlier run left in namespace $1."
    kubectl delete namespace "$1" --ignore-not-found --timeout=180s >/dev/null
    ;;
  *)
    die "Namespace $1 exists and was not made here: it has no label $LABEL=true. Nothing was touched." \
      "Choose another name (NAMESPACE=another make demo), or delete it yourself: kubectl delete namespace $1"
    ;;
  esac
  # Everything in the story satisfies the strictest of the Pod Security Standards.
  kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: $1
  labels:
    $LABEL: "true"
    pod-security.kubernetes.io/enforce: restricted
YAML
}

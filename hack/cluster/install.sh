#!/usr/bin/env bash
# Installs Bindery from this tree into the cluster that bin/cluster/env names, through its chart. The images are there
# already (load.sh). Arguments are for `helm upgrade --install`.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -f "$OUT/kubeconfig" ] || die 'there is no cluster: make cluster-up'
kubectl() { "$BIN/kubectl" --kubeconfig "$OUT/kubeconfig" --namespace bindery-system "$@"; }

# A Deployment that kubectl has applied has fields that Helm would leave in it. No app notices that the operator is away.
release=$(kubectl get deployment bindery-operator --ignore-not-found -o jsonpath='{.metadata.annotations.meta\.helm\.sh/release-name}')
[ -n "$release" ] || kubectl delete deployment bindery-operator --ignore-not-found

# The tag of the image is the same in every build. Its digest in the Pod template starts the operator again if it is another.
read -r _ digest <"$IMAGES/operator.image"

"$BIN/helm" --kubeconfig "$OUT/kubeconfig" upgrade --install bindery "$ROOT/charts/bindery" \
  --namespace bindery-system --create-namespace --take-ownership --force-conflicts --wait --timeout 2m \
  --values "$ROOT/hack/cluster/values.yaml" --set-string "podAnnotations.bindery\.dev/image=$digest" "$@" >&2
kubectl label namespace bindery-system --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null

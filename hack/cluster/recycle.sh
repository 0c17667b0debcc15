#!/usr/bin/env bash
# Makes a volume whose claim was deleted usable again: nobody provisions new ones, so that they would run out.
# Empties its folder and takes the claim off the PersistentVolume. Runs as long as the cluster; up.sh starts it.
# usage: recycle.sh KUBECTL KUBECONFIG FOLDER
set -uo pipefail
kubectl=$1 kubeconfig=$2 folder=$3

kubectl() { "$kubectl" --kubeconfig "$kubeconfig" "$@"; }

# A claim is gone only after the last Pod with it, and the kubelet lets a Pod go only after its volumes are unmounted. What
# the watch tells may be old news and the volume somebody's again; one that is still Released stays so until we change it.
recycle() {
  local path=$folder/$1 phase
  phase=$(kubectl get persistentvolume "$1" -o jsonpath='{.status.phase}') || return
  [ -d "$path" ] && [ "$phase" = Released ] || return 0
  # Each only if the one before succeeded: nobody may find what somebody else has written.
  find "$path" -mindepth 1 -delete && chown 0:0 "$path" && chmod 0777 "$path" &&
    kubectl patch persistentvolume "$1" --type=json -p '[{"op": "remove", "path": "/spec/claimRef"}]'
}

# A watch ends now and then, and with the API server; what happened meanwhile is in the list that the next one begins with.
# So is a volume that could not be recycled, and no watch is longer than that may wait.
while [ -d "$folder" ]; do
  timeout 300 "$kubectl" --kubeconfig "$kubeconfig" get persistentvolumes --watch -o jsonpath='{.metadata.name} {.status.phase}{"\n"}' |
    while read -r volume phase; do
      [ "$phase" != Released ] || recycle "$volume" || echo "$volume stays as it is until it can be emptied" >&2
    done
  sleep 1
done

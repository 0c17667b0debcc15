#!/usr/bin/env bash
# Makes a volume whose claim was deleted usable again: there is no provisioner of new ones, so they would run out. Empties
# its folder and removes the claim from the PersistentVolume. Runs as long as the cluster; up.sh starts it.
# usage: recycle.sh KUBECTL KUBECONFIG FOLDER
set -uo pipefail
kubectl=$1 kubeconfig=$2 folder=$3

kubectl() { "$kubectl" --kubeconfig "$kubeconfig" "$@"; }

# A claim is gone only after the last Pod that uses it, and the kubelet removes a Pod only after its volumes are
# unmounted. The event may be old and the volume in use again. A volume that is still Released stays so until we change
# it.
recycle() {
  local path=$folder/$1 phase
  phase=$(kubectl get persistentvolume "$1" -o jsonpath='{.status.phase}') || return
  [ -d "$path" ] && [ "$phase" = Released ] || return 0
  # Each step only if the one before succeeded: no app may find the data of another one.
  find "$path" -mindepth 1 -delete && chown 0:0 "$path" && chmod 0777 "$path" &&
    kubectl patch persistentvolume "$1" --type=json -p '[{"op": "remove", "path": "/spec/claimRef"}]'
}

# A watch ends now and then, and with the API server. The next one begins with a list, so it misses nothing. A volume that
# could not be recycled is in that list too, and the timeout says how long it waits at most.
while [ -d "$folder" ]; do
  timeout 300 "$kubectl" --kubeconfig "$kubeconfig" get persistentvolumes --watch -o jsonpath='{.metadata.name} {.status.phase}{"\n"}' |
    while read -r volume phase; do
      [ "$phase" != Released ] || recycle "$volume" || echo "$volume stays as it is until it can be emptied" >&2
    done
  sleep 1
done

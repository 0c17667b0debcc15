# shellcheck shell=bash
# The cluster in kind: for machines with a Docker engine and a way to a registry.

KIND_CONTAINER=$KIND_NAME-control-plane
KIND_STATE=${XDG_STATE_HOME:-$HOME/.local/state}/bindery-cluster
AUDIT=$KIND_STATE/audit

kind_engine() { timeout 10 docker info >/dev/null 2>&1; }

kind_image() {
  docker image inspect "$KIND_IMAGE" >/dev/null 2>&1 || timeout 600 docker pull -q "$KIND_IMAGE" >/dev/null 2>&1
}

kind_exists() { docker container inspect "$KIND_CONTAINER" >/dev/null 2>&1; }

kind_healthy() {
  [ "$(docker container inspect -f '{{.State.Running}} {{.Config.Image}}' "$KIND_CONTAINER" 2>/dev/null)" = "true $KIND_IMAGE" ] &&
    [ -f "$AUDIT/audit.log" ] &&
    "$BIN/kind" get kubeconfig --name "$KIND_NAME" >"$OUT/kubeconfig" &&
    "$BIN/kubectl" --kubeconfig "$OUT/kubeconfig" get --raw /readyz --request-timeout=5s >/dev/null 2>&1
}

kind_up() {
  mkdir -p "$OUT"
  build kind kubectl
  if kind_healthy; then
    say 'it is up already'
  else
    kind_down
    kind_create
  fi
  publish CLUSTER_KIND=kind NODE_NAME="$KIND_CONTAINER" AUDIT_LOG="$AUDIT/audit.log" KUBECONFIG="$OUT/kubeconfig" \
    KIND_NAME="$KIND_NAME"
}

kind_create() {
  mkdir -p "$AUDIT"
  cp "$CONFIG/audit-policy.yaml" "$AUDIT/policy.yaml"
  # The API server would create it for root only; a log that is there keeps its owner and mode.
  install -m 0644 /dev/null "$AUDIT/audit.log"
  trap 'kind_down; exit 130' INT TERM
  render kind.yaml | "$BIN/kind" create cluster --image "$KIND_IMAGE" --kubeconfig "$OUT/kubeconfig" --wait 3m --config - >&2 9>&-
  trap - INT TERM
}

# kind_load TAR REFERENCE DIGEST: unless the node has an image of that name with that configuration's digest.
kind_load() {
  local tar=$1 reference=$2 digest=$3
  if [ "$(docker exec "$KIND_CONTAINER" crictl inspecti -o go-template --template '{{.status.id}}' "$reference" 2>/dev/null)" = "$digest" ]; then
    return 1
  fi
  "$BIN/kind" load image-archive --name "$KIND_NAME" "$tar" >&2
}

# kind_signal SIGNAL COMPONENT: static Pods are processes of the node's container. With nothing but a shell, whatever else
# the node's image has.
kind_signal() {
  docker exec "$KIND_CONTAINER" sh -c 'found=
    for process in /proc/[0-9]*; do
      read -r name 2>/dev/null <$process/comm && [ "$name" = "$1" ] || continue
      kill -"$0" "${process#/proc/}" && found=yes
    done
    [ -n "$found" ]' "$1" "$2" || die "$2 does not run"
}

kind_down() {
  if kind_exists; then
    build kind
    "$BIN/kind" delete cluster --name "$KIND_NAME" --kubeconfig "$OUT/kubeconfig" >&2
  fi
  # The log may be root's, but the folder is ours.
  rm -rf "$KIND_STATE"
}

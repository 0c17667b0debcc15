# shellcheck shell=bash
# The cluster in kind: for machines with a Docker engine and a way to a registry.

KIND_CONTAINER=$KIND_NAME-control-plane
KIND_STATE=${XDG_STATE_HOME:-$HOME/.local/state}/bindery-cluster
AUDIT=$KIND_STATE/audit

kind_has_engine() { timeout 10 docker info >/dev/null 2>&1; }

# The pull may take minutes, so it says what it waits for, and why it failed.
kind_can_get_node_image() {
  docker image inspect "$KIND_IMAGE" >/dev/null 2>&1 || {
    say "pulling ${KIND_IMAGE%@*}"
    timeout 600 docker pull -q "$KIND_IMAGE" >&2
  }
}

# kind_container: the id of the node's container, or nothing if there is none. An engine that does not answer is an error.
kind_container() { docker container ls --all --quiet --filter "name=^$KIND_CONTAINER\$"; }

kind_is_healthy() {
  [ "$(docker container inspect -f '{{.State.Running}} {{.Config.Image}}' "$KIND_CONTAINER" 2>/dev/null)" = "true $KIND_IMAGE" ] &&
    [ -f "$AUDIT/audit.log" ] &&
    "$BIN/kind" get kubeconfig --name "$KIND_NAME" >"$OUT/kubeconfig" &&
    "$BIN/kubectl" --kubeconfig "$OUT/kubeconfig" get --raw /readyz --request-timeout=5s >/dev/null 2>&1 &&
    kind_is_ready 5s >/dev/null 2>&1
}

# kind_is_ready TIME: waits that long at most.
kind_is_ready() { "$BIN/kubectl" --kubeconfig "$OUT/kubeconfig" wait --for=condition=Ready nodes --all --timeout="$1"; }

kind_up() {
  mkdir -p "$OUT"
  build kind kubectl
  if kind_is_healthy; then
    say 'it is up already'
  else
    retract
    kind_down
    kind_create
  fi
  publish CLUSTER_KIND=kind NODE_NAME="$KIND_CONTAINER" AUDIT_LOG="$AUDIT/audit.log" KUBECONFIG="$OUT/kubeconfig" \
    KIND_NAME="$KIND_NAME"
}

kind_create() {
  local cluster
  cluster=$(render kind.yaml) # first: without a configuration, kind makes another cluster
  mkdir -p "$AUDIT"
  cp "$CONFIG/audit-policy.yaml" "$AUDIT/policy.yaml"
  # The API server would create a log that only root can read. An existing log keeps its owner and mode.
  install -m 0644 /dev/null "$AUDIT/audit.log"
  trap 'kind_down; exit 130' INT TERM HUP
  "$BIN/kind" create cluster --image "$KIND_IMAGE" --kubeconfig "$OUT/kubeconfig" --wait 3m --config - <<<"$cluster" >&2 9>&-
  # When the wait times out, kind only warns, and exits with 0.
  kind_is_ready 10s >&2
  trap - INT TERM HUP
}

# kind_has_image REFERENCE DIGEST: an image of that name with that configuration's digest.
kind_has_image() {
  [ "$(docker exec "$KIND_CONTAINER" crictl inspecti -o go-template --template '{{.status.id}}' "$1" 2>/dev/null)" = "$2" ]
}

# kind_load TAR REFERENCE DIGEST
kind_load() { "$BIN/kind" load image-archive --name "$KIND_NAME" "$1" >&2; }

# kind_signal SIGNAL COMPONENT: static Pods are processes of the node's container. It uses only a shell, because the
# node's image may have nothing else.
kind_signal() {
  docker exec "$KIND_CONTAINER" sh -c 'found=
    for process in /proc/[0-9]*; do
      read -r name 2>/dev/null <$process/comm && [ "$name" = "$1" ] || continue
      kill -"$0" "${process#/proc/}" && found=yes
    done
    [ -n "$found" ]' "$1" "$2" || die "$2 does not run"
}

kind_down() {
  local container
  container=$(kind_container)
  if [ -n "$container" ]; then
    build kind
    "$BIN/kind" delete cluster --name "$KIND_NAME" --kubeconfig "$OUT/kubeconfig" >&2
  fi
  # The log may be root's, but the folder is ours.
  rm -rf "$KIND_STATE"
}

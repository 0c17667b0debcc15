# shellcheck shell=bash
# The cluster in kind: for machines with a Docker engine. The image of its node is pulled or, where no registry can be
# reached, built here; see node/build.sh.

# Of kind v0.33.0's release notes, the one of the local node's minor version.
PUBLISHED_IMAGE=kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed
KIND_NAME=bindery
KIND_CONTAINER=$KIND_NAME-control-plane
KIND_STATE=${XDG_STATE_HOME:-$HOME/.local/state}/bindery-cluster
KIND_VOLUMES=/var/local/volumes # where the node has no provisioner of volumes
AUDIT=$KIND_STATE/audit

kind_has_engine() { timeout 10 docker info >/dev/null 2>&1; }

kind_has_node_image() { docker image inspect "$1" >/dev/null 2>&1; }

# kind_choose_image: sets NODE_IMAGE to an image that the engine has. KIND_IMAGE asks for another one than ours, for
# another version of Kubernetes. What could not be pulled once and was built here is not tried again.
kind_choose_image() {
  NODE_IMAGE=${KIND_IMAGE:-$PUBLISHED_IMAGE}
  if kind_has_node_image "$NODE_IMAGE"; then return; fi
  if [ -n "${KIND_IMAGE:-}" ]; then
    kind_pull "$NODE_IMAGE"
  elif [ -e "$BIN/node-image.name" ] || ! kind_can_pull "$NODE_IMAGE"; then
    kind_built_image
  fi
}

# kind_pull IMAGE: may take minutes, so what the engine says is shown.
kind_pull() {
  say "pulling ${1%@*}, for ten minutes at most"
  timeout 600 docker pull "$1" >&2
}

kind_can_pull() { kind_pull "$1"; }

# kind_built_image: sets NODE_IMAGE to the one that is built here. Its tag says what it is built from, so clones that would
# build the same share it, and their cluster.
kind_built_image() {
  NODE_IMAGE=localhost/bindery/node:$(kind_node_tag)
  if kind_has_node_image "$NODE_IMAGE"; then return; fi
  [ "$(cat "$BIN/node-image.name" 2>/dev/null)" = "$NODE_IMAGE" ] || rm -f "$BIN/node-image.tar"
  build node-image.tar
  say "giving $NODE_IMAGE to Docker"
  docker import --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' --change 'ENV container=docker' \
    "$BIN/node-image.tar" "$NODE_IMAGE" >/dev/null
}

# The version of Kubernetes, and a digest of all that hack/cluster/node/build.sh reads of this tree.
kind_node_tag() {
  local digest
  digest=$(cd "$ROOT/hack" && cat cluster/node/* images/node/*.go images/pause/*.go images/go.sum cluster/recycle.sh \
    cluster/config/{cni.conflist,storage-class.yaml,volume.yaml,volume-recycler.service} \
    tools/{kubernetes,kubeadm,crictl,coredns,etcd,kind}/go.{mod,sum} | sha256sum)
  echo "$(kubernetes_version)-${digest:0:12}"
}

# Images of earlier builds are as large as this one.
kind_remove_old_images() {
  local image
  docker image ls --format '{{.Repository}}:{{.Tag}}' localhost/bindery/node | while read -r image; do
    [ "$image" = "$NODE_IMAGE" ] || docker image rm "$image" >/dev/null
  done
}

# kind_container: the id of the node's container, or nothing if there is none. An engine that does not answer is an error.
kind_container() { docker container ls --all --quiet --filter "name=^$KIND_CONTAINER\$"; }

kind_is_healthy() {
  [ "$(docker container inspect -f '{{.State.Running}} {{.Config.Image}}' "$KIND_CONTAINER" 2>/dev/null)" = "true $NODE_IMAGE" ] &&
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
    if [[ $NODE_IMAGE = localhost/* ]]; then kind_remove_old_images; fi
  fi
  publish CLUSTER_KIND=kind NODE_NAME="$KIND_CONTAINER" AUDIT_LOG="$AUDIT/audit.log" KUBECONFIG="$OUT/kubeconfig" \
    KIND_NAME="$KIND_NAME"
}

kind_create() {
  local cluster NETWORKING='{}'
  # An image that is built here has a network of its own; the one that kind brings would have to be pulled.
  [[ $NODE_IMAGE != localhost/* ]] || NETWORKING='{disableDefaultCNI: true, kubeProxyMode: nftables}'
  cluster=$(render kind.yaml) # first: without a configuration, kind makes another cluster
  mkdir -p "$AUDIT"
  cp "$CONFIG/audit-policy.yaml" "$AUDIT/policy.yaml"
  # The API server would create a log that only root can read. An existing log keeps its owner and mode.
  install -m 0644 /dev/null "$AUDIT/audit.log"
  trap 'kind_down; exit 130' INT TERM HUP
  "$BIN/kind" create cluster --image "$NODE_IMAGE" --kubeconfig "$OUT/kubeconfig" --wait 3m --config - <<<"$cluster" >&2 9>&-
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

# kind_restart_api_server: the kubelet starts it again.
kind_restart_api_server() { kind_signal KILL kube-apiserver; }

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

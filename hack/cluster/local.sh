# shellcheck shell=bash
# The local node: a whole Kubernetes as processes of this machine, in a network namespace of its own, without a container
# engine and without a registry. There is one per machine, not per clone. All its files are in $STATE and $RUN.

STATE=/var/lib/bindery-cluster
RUN=/run/bindery-cluster
LOGS=$STATE/log
VOLUMES=$STATE/volumes
NETNS=$RUN/netns
CONTAINERD_SOCKET=$RUN/containerd.sock
PAUSE_IMAGE=localhost/bindery/pause:dev
NODE_NAME=bindery-local

# 198.18.0.0/15 is reserved for tests of networks (RFC 2544): no real host has such an address.
VETH=bindery0
HOST_IP=198.18.0.1
NODE_IP=198.18.0.2
POD_CIDR=198.18.16.0/20
SERVICE_CIDR=198.19.0.0/16
KUBERNETES_SERVICE_IP=198.19.0.1
SERVER=https://$NODE_IP:6443

COMPONENTS=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns recycler)
BINARIES=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl coredns)

# Every clone that asks for the same node uses it. Raise the number with a change that a running node does not have.
REVISION="$(kubernetes_version) 2"

# shellcheck source=process.sh
source "$ROOT/hack/cluster/process.sh"

admin() { "$STATE/bin/kubectl" --kubeconfig "$STATE/kubeconfig/admin" "$@"; }
in_node() { nsenter --net="$NETNS" -- "$@"; }

local_up() {
  if local_is_healthy; then
    say 'it is up already'
  else
    retract
    local_create
  fi
  mkdir -p "$OUT"
  install -m 0644 "$STATE/kubeconfig/admin" "$OUT/kubeconfig"
  publish CLUSTER_KIND=local NODE_NAME=$NODE_NAME AUDIT_LOG=$LOGS/audit.log KUBECONFIG="$OUT/kubeconfig" \
    CONTAINERD_SOCKET=$CONTAINERD_SOCKET NETNS=$NETNS NODE_IP=$NODE_IP POD_CIDR=$POD_CIDR SERVICE_CIDR=$SERVICE_CIDR LOGS=$LOGS
}

# Everything runs and answers. A busy machine may answer late: that is no reason to start over, because somebody may be
# using the node. A process that has ended is a reason.
local_is_healthy() {
  local name deadline=$((SECONDS + 60))
  [ "$(cat "$STATE/up" 2>/dev/null)" = "$REVISION" ] || return 1
  while :; do
    for name in "${COMPONENTS[@]}"; do is_alive "$name" || return 1; done
    ! node_is_ready || return 0
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.5
  done
}

node_is_ready() { admin wait --for=condition=Ready "node/$NODE_NAME" --timeout=5s >/dev/null 2>&1; }

local_create() {
  local since=$SECONDS routes
  local_packages
  local_build
  if [ -e "$STATE" ] || [ -e "$RUN" ]; then
    say 'removing a node that has died, is of another version, or was never finished'
    local_down
  fi
  routes=$(ip -4 route show to match $NODE_IP | sed '/^default/d')
  [ -z "$routes" ] || die "the host has a route to $NODE_IP already: $routes"
  trap 'say "failed; logs of its processes are in $LOGS"' EXIT
  trap 'trap - EXIT; say "interrupted: removing the node"; local_down; exit 130' INT TERM HUP
  local_folders
  local_certificates
  local_network
  start_runtime
  start_control_plane
  start_node
  local_bootstrap
  echo "$REVISION" >"$STATE/up"
  trap - INT TERM HUP EXIT
  say "Kubernetes ${REVISION% *} is up after $((SECONDS - since)) s"
}

local_build() { build "${BINARIES[@]}" images/pause.tar; }

# What the node needs from Debian or Ubuntu, by the command that shows whether it is installed.
local_packages() {
  local command missing=()
  local -A package=(
    [containerd]=containerd [runc]=runc [/usr/lib/cni/ptp]=containernetworking-plugins [iptables]=iptables [nft]=nftables
    [conntrack]=conntrack [socat]=socat [ip]=iproute2 [nsenter]=util-linux [openssl]=openssl [find]=findutils [mount]=mount
  )
  for command in "${!package[@]}"; do
    command -v "$command" >/dev/null || missing+=("${package[$command]}")
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# copy_program FILE FOLDER
copy_program() {
  local file
  file=$(readlink -f "$1")
  ln -f "$file" "$2/${1##*/}" 2>/dev/null || cp -f "$file" "$2/${1##*/}"
}

install_packages() {
  command -v apt-get >/dev/null || die "please install: $* (only Debian's and Ubuntu's packages are known here)"
  say "installing Debian packages: $*"
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@")
  "${get[@]}" >/dev/null 2>&1 9>&- || {
    apt-get update -qq >&2 9>&-
    "${get[@]}" >&2 9>&-
  }
}

local_folders() {
  mkdir -p "$STATE"/{bin,config/cni,pki,kubeconfig,pod-logs,images} "$LOGS" "$RUN/pids" "$VOLUMES"
  chmod 0700 "$STATE/pki" "$STATE/kubeconfig"
  # People and tests that are not root read the audit log.
  install -m 0644 /dev/null "$LOGS/audit.log"
  # A copy, so that building or cleaning a clone does not change a node that runs. Its path also tells our processes from
  # others.
  local name
  for name in "${BINARIES[@]/#/$BIN/}" "$(command -v containerd)" "$(command -v containerd-shim-runc-v2)" "$(command -v runc)" \
    "$ROOT/hack/cluster/recycle.sh"; do
    copy_program "$name" "$STATE/bin"
  done
  for name in audit-policy.yaml containerd.toml Corefile kubelet.yaml kube-proxy.yaml; do
    render $name >"$STATE/config/$name"
  done
  render cni.conflist >"$STATE/config/cni/10-bindery.conflist"
  remember_sysctls
}

# One authority, a certificate per component, and a key for service account tokens.
local_certificates() (
  cd "$STATE/pki" || exit
  openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  openssl req -x509 -new -key ca.key -subj /CN=bindery-cluster -days 3650 -out ca.crt
  openssl ecparam -name prime256v1 -genkey -noout -out service-accounts.key
  openssl ec -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
  certificate kube-apiserver /CN=kube-apiserver \
    "IP:$NODE_IP,IP:$KUBERNETES_SERVICE_IP,IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost"
  certificate front-proxy /CN=front-proxy-client
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  user admin /O=system:masters/CN=kubernetes-admin
  user kube-controller-manager /CN=system:kube-controller-manager
  user kube-scheduler /CN=system:kube-scheduler
  user kubelet "/O=system:nodes/CN=system:node:$NODE_NAME"
  user kube-proxy /CN=system:kube-proxy
  user coredns /CN=system:coredns
  user recycler /CN=system:volume-recycler
)

# certificate NAME SUBJECT [NAMES]
certificate() {
  local names=${3:+subjectAltName=$3}
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" 2>/dev/null \
      -extfile <(printf '%s\n' 'extendedKeyUsage=serverAuth,clientAuth' "$names")
}

# user NAME SUBJECT: a certificate, and a kubeconfig that holds it.
user() {
  certificate "$@"
  # shellcheck disable=SC2034 # the template uses them
  local CA CERTIFICATE KEY
  CA=$(base64 -w0 ca.crt)
  CERTIFICATE=$(base64 -w0 "$1.crt")
  KEY=$(base64 -w0 "$1.key")
  render kubeconfig.yaml >"$STATE/kubeconfig/$1"
}

# A namespace of its own with one veth pair to the host: the host's network does not change. Not with `ip netns`: it
# leaves a mount behind, and its `exec` remounts /sys, where the kubelet then finds no cgroups.
local_network() {
  : >"$NETNS"
  unshare --net="$NETNS" true
  ip link add $VETH type veth peer name eth0 netns "$NETNS"
  ip addr add $HOST_IP/24 dev $VETH
  ip link set $VETH up
  in_node sh -ec "
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip link set lo up
    ip addr add $NODE_IP/24 dev eth0
    ip link set eth0 up
    # The node's own route to a Service: kube-proxy rewrites the address, but only of packets that have a route.
    ip route add $SERVICE_CIDR dev eth0"
}

start_runtime() {
  start containerd "$STATE/bin/containerd" --config "$STATE/config/containerd.toml"
  start etcd "$STATE/bin/etcd" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn --quota-backend-bytes 4294967296
}

start_control_plane() {
  local pki=$STATE/pki config name
  start kube-apiserver "$STATE/bin/kube-apiserver" \
    --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --advertise-address=$NODE_IP --service-cluster-ip-range=$SERVICE_CIDR \
    --tls-cert-file="$pki/kube-apiserver.crt" --tls-private-key-file="$pki/kube-apiserver.key" \
    --client-ca-file="$pki/ca.crt" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
    --allow-privileged \
    --audit-policy-file="$STATE/config/audit-policy.yaml" --audit-log-path=$LOGS/audit.log \
    --audit-log-maxsize=200 --audit-log-maxbackup=1
  wait_for 'the API server' 60 admin get --raw /readyz
  # No leader election: there is one of each, and with an election both would end when the machine is busy for ten
  # seconds. Ten times the usual rate, so that tests measure Bindery and not these two. With an election they would
  # restart after an outage of the API server. Without one the controller manager remembers when the node last reported,
  # and would remove every Pod from its Service: hence the long grace period.
  for name in kube-controller-manager kube-scheduler; do
    config=$STATE/kubeconfig/$name
    local common=(--kubeconfig="$config" --authentication-kubeconfig="$config" --authorization-kubeconfig="$config"
      --bind-address=127.0.0.1 --leader-elect=false --kube-api-qps=200 --kube-api-burst=400)
    case $name in
    kube-scheduler) start $name "$STATE/bin/$name" "${common[@]}" ;;
    *)
      start $name "$STATE/bin/$name" "${common[@]}" --use-service-account-credentials \
        --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" \
        --node-monitor-grace-period=3m \
        --flex-volume-plugin-dir="$STATE/kubelet/plugins"
      ;;
    esac
  done
}

start_node() {
  wait_for containerd 30 ctr -a $CONTAINERD_SOCKET version
  ctr -a $CONTAINERD_SOCKET -n k8s.io images import "$IMAGES/pause.tar" >/dev/null
  start kubelet "$STATE/bin/kubelet" --config="$STATE/config/kubelet.yaml" --kubeconfig="$STATE/kubeconfig/kubelet" \
    --root-dir="$STATE/kubelet" --cert-dir="$STATE/kubelet/pki" --hostname-override=$NODE_NAME --node-ip=$NODE_IP
  start kube-proxy "$STATE/bin/kube-proxy" --config="$STATE/config/kube-proxy.yaml"
}

local_bootstrap() {
  install -d -m 0777 "${VOLUME_NAMES[@]/#/$VOLUMES/}"
  {
    render bootstrap.yaml
    storage
  } | admin create -f - >/dev/null
  start coredns "$STATE/bin/coredns" -quiet -conf "$STATE/config/Corefile"
  start recycler bash "$STATE/bin/recycle.sh" "$STATE/bin/kubectl" "$STATE/kubeconfig/recycler" "$VOLUMES"
  wait_for 'the node' 60 admin wait --for=condition=Ready node/$NODE_NAME --timeout=10s
  wait_for 'the default service account' 30 admin get serviceaccount default
  wait_for 'the name service' 30 answers $NODE_IP 8181 /ready
}

# answers HOST PORT PATH: with 200, over HTTP.
answers() {
  local status
  exec 8<>"/dev/tcp/$1/$2" || return 1
  printf 'GET %s HTTP/1.0\r\n\r\n' "$3" >&8
  read -r status <&8
  exec 8>&-
  [[ $status == *' 200 '* ]]
}

# wait_for WHAT SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local what=$1 deadline=$((SECONDS + $2)) name
  shift 2
  until ("$@") >/dev/null 2>&1; do
    for name in "$RUN"/pids/*; do
      is_alive "${name##*/}" || die "${name##*/} has ended; the end of its log: $(tail -n 5 "$LOGS/${name##*/}.log")"
    done
    [ $SECONDS -lt $deadline ] || die "waited too long for $what"
    sleep 0.1
  done
}

# Leaves nothing: no process, mount, cgroup, interface or file. No step may fail because its work is done already.
local_down() {
  local ids=() folder
  # First the kubelet, which would start them again; then the containers, while their shims can still reap them.
  stop kubelet
  for folder in "$RUN"/containerd/io.containerd.runtime.v2.task/k8s.io/*; do
    [ ! -e "$folder" ] || ids+=("${folder##*/}")
  done
  kill_all container_processes "${ids[@]}"
  stop recycler
  kill_all processes_of "$STATE/bin"
  unmount "$STATE" "$RUN"
  # The end of the namespace deletes the veth pair too, a moment later.
  ip link delete $VETH 2>/dev/null || true
  remove_traces "${ids[@]}"
  restore_sysctls
  rm -rf --one-file-system "$STATE" "$RUN"
}

# The kubelet gives Pods no cgroup here, so containerd puts each container into k8s.io/ID. The parent is not only ours.
container_processes() {
  local id
  for id; do cat /sys/fs/cgroup/k8s.io/"$id"/cgroup.procs /sys/fs/cgroup/*/k8s.io/"$id"/cgroup.procs 2>/dev/null || true; done | sort -u
}

# unmount FOLDER...: what is mounted below them. Lazily, because another process may still use one. Nested ones first.
unmount() {
  local folder path
  for folder; do
    awk -v folder="$folder/" 'index($5, folder) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r path; do
      umount -l "$(printf '%b' "$path")"
    done
  done
}

# Removes what containerd, its shims, CNI and the kubelet write to places that no option changes.
remove_traces() {
  local id socket
  for socket in "$RUN"/containerd/io.containerd.runtime.v2.task/k8s.io/*/address; do
    [ ! -e "$socket" ] || rm -f "$(sed 's|^unix://||' "$socket")"
  done
  for id; do
    rm -f /var/lib/cni/results/*-"$id"-*
    find /sys/fs/cgroup -depth -type d -path "*/k8s.io/$id*" -exec rmdir {} + 2>/dev/null || true
  done
  find /var/log/containers -lname "$STATE/*" -delete 2>/dev/null || true
  rm -f /var/lib/kubelet/device-plugins/{kubelet.sock,kubelet_internal_checkpoint}
  rmdir --ignore-fail-on-non-empty /sys/fs/cgroup/k8s.io /sys/fs/cgroup/*/k8s.io /var/lib/cni/results /var/lib/cni /run/containerd/{s,} \
    /var/log/containers /var/lib/kubelet/{device-plugins,} 2>/dev/null || true
}

# The kubelet sets these for the whole machine.
SYSCTLS=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

remember_sysctls() {
  local name
  # A kernel may be built without some of them.
  for name in "${SYSCTLS[@]}"; do [ ! -e "/proc/sys/$name" ] || echo "$name $(<"/proc/sys/$name")"; done >"$RUN/sysctls"
}

restore_sysctls() {
  local name value
  [ -f "$RUN/sysctls" ] || return 0
  while read -r name value; do
    [ "$(cat "/proc/sys/$name")" = "$value" ] || echo "$value" >"/proc/sys/$name" || true
  done <"$RUN/sysctls"
}

# The node keeps a note of each image that it has: the digest of its configuration.
image_note() { echo "$STATE/images/${1//[\/:]/_}"; }

# local_has_image REFERENCE DIGEST
local_has_image() { [ "$(cat "$(image_note "$1")" 2>/dev/null)" = "$2" ]; }

# local_load TAR REFERENCE DIGEST
local_load() {
  local note
  note=$(image_note "$2")
  rm -f "$note" # what a failed import leaves is neither the old image nor the new one
  ctr -a $CONTAINERD_SOCKET -n k8s.io images import "$1" >/dev/null
  echo "$3" >"$note"
}

# local_signal SIGNAL COMPONENT
# local_restart_api_server: with the arguments that it had.
local_restart_api_server() {
  local pid command _
  is_alive kube-apiserver || die 'the API server does not run'
  read -r pid _ <"$RUN/pids/kube-apiserver"
  mapfile -d '' -t command <"/proc/$pid/cmdline"
  stop kube-apiserver
  # The kernel takes a moment to close the port of a process that was killed.
  while (: >"/dev/tcp/$NODE_IP/6443") 2>/dev/null; do sleep 0.1; done
  start kube-apiserver "${command[@]}"
}

local_signal() {
  local pid _
  is_alive "$2" || die "$2 does not run"
  read -r pid _ <"$RUN/pids/$2"
  kill "-$1" "$pid"
}

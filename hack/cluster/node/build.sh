#!/usr/bin/env bash
# Builds the root file system of a node in kind, for machines that have a Docker engine and no way to a registry. It is
# what kind's own Dockerfile makes (images/base of its module), with Debian's packages and the binaries of bin/.
# Needs Debian's or Ubuntu's debootstrap and root, or sudo. DEBIAN_MIRROR overrides where packages come from.
# usage: build.sh TAR
# Beside the tar it writes a file .name: the image that the tar is.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

out=$(realpath -m "${1:?usage: build.sh TAR}")
# Not below /tmp, which may be mounted without devices and executables.
work=$(mktemp -d -p "$BIN" .node.XXXXXX)
as_root=()
if [ "$EUID" -ne 0 ]; then
  command -v sudo >/dev/null || die 'the image of a node needs root, or sudo'
  as_root=(sudo env "PATH=$PATH" "DEBIAN_MIRROR=${DEBIAN_MIRROR:-}")
fi
trap '"${as_root[@]}" rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

version=$(kubernetes_version)
tag=$(kind_node_tag) # now, and not of what somebody changes meanwhile
[ "$version" = "$("$BIN/kubeadm" version -o short)" ] || die "hack/tools/kubeadm is of another version than hack/tools/kubernetes, $version"

mkdir "$work/bin" "$work/images"
for binary in kubeadm kubelet kubectl crictl; do ln -s "$BIN/$binary" "$work/bin/$binary"; done
(cd "$ROOT/hack/tools/kind" && go mod download sigs.k8s.io/kind && go list -m -f '{{.Dir}}' sigs.k8s.io/kind) >"$work/kind"
cp -r --no-preserve=mode "$(<"$work/kind")/images/base/files" "$work/files"
(
  cd "$ROOT/hack/images"
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/pause" ./pause
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/node-images" ./node
)
for binary in kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd coredns; do
  ln -s "$BIN/$binary" "$work/images/$binary"
done
ln -s "$work/pause" "$work/images/pause"
"$BIN/kubeadm" config images list --kubernetes-version "$version" >"$work/list"

# shellcheck disable=SC2034 # the templates use them
(
  RUN=/run/cni POD_CIDR=10.244.0.0/24 VOLUMES=$KIND_VOLUMES NODE_NAME=$KIND_CONTAINER
  render cni.conflist >"$work/10-bindery.conflist"
  storage >"$work/default-storage.yaml"
  render volume-recycler.service >"$work/volume-recycler.service"
)
cp "$ROOT/hack/cluster/recycle.sh" "$work/recycle.sh"

"${as_root[@]}" "$ROOT/hack/cluster/node/rootfs.sh" "$work" "$version"
say 'packing the node'
"${as_root[@]}" tar --create --file "$work/tar" --directory "$work/rootfs" --numeric-owner .
"${as_root[@]}" chmod 0644 "$work/tar"
[ "$EUID" -eq 0 ] || "${as_root[@]}" chown "$EUID" "$work/tar"
echo "localhost/bindery/node:$tag" >"$work/name"
mv "$work/tar" "$out"
# Last: it says that the tar is whole.
mv "$work/name" "${out%.tar}.name"

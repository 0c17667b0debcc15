#!/usr/bin/env bash
# The part of build.sh that needs root: makes the node's root file system in FOLDER/rootfs, out of what lies in FOLDER.
# usage: rootfs.sh FOLDER VERSION
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

work=${1:?usage: rootfs.sh FOLDER VERSION} version=${2:?usage: rootfs.sh FOLDER VERSION}
rootfs=$work/rootfs
suite=bookworm
in_rootfs() { chroot "$rootfs" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# Of kind's Dockerfile, without what a single node without networked storage does not use; and containerd, runc and the
# CNI plugins, which kind compiles.
packages=(
  systemd systemd-sysv dbus
  conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 pigz socat
  e2fsprogs bash ca-certificates curl jq procps hostname
  containerd runc containernetworking-plugins
)

debian() {
  command -v debootstrap >/dev/null || install_packages debootstrap wget debian-archive-keyring
  say "fetching Debian $suite for the node"
  # In mounts of its own, of which nothing is left.
  unshare --mount -- debootstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" "$suite" "$rootfs" \
    ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1 || die "$(tail -n 20 "$work/log")"
  rm -rf "$rootfs"/var/cache/apt/* "$rootfs"/var/lib/apt/lists/* "$rootfs"/usr/share/{doc,man,locale,info,lintian}
}

# What kind's Dockerfile does with its own files and with systemd.
kind_files() {
  local file
  cp -r "$work/files/." "$rootfs/"
  chmod 0755 "$rootfs"/usr/local/bin/* "$rootfs"/kind/bin/*
  rm -f "$rootfs"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
    "$rootfs"/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* "$rootfs"/etc/systemd/system/*.wants/* \
    "$rootfs"/lib/systemd/system/sockets.target.wants/*{udev,initctl}*
  echo 'ReadKMsg=no' >>"$rootfs/etc/systemd/journald.conf"
  mkdir -p "$rootfs/etc/kubernetes/manifests" "$rootfs/kind/manifests"
  for file in containerd ctr containerd-shim-runc-v2; do ln -s "/usr/bin/$file" "$rootfs/usr/local/bin/$file"; done
  ln -s /usr/sbin/runc "$rootfs/usr/local/sbin/runc"
  # The node may run where no process can lower its OOM score or raise a limit.
  sed -i -E '/^(OOMScoreAdjust|Limit[A-Z]+|TasksMax)=/d' "$rootfs"/etc/systemd/system/{containerd,kubelet}.service
  sed -i -E "s|restrict_oom_score_adj = .*|restrict_oom_score_adj = true|; s|sandbox_image = .*|sandbox_image = \"$(grep /pause: "$work/list")\"|" \
    "$rootfs/etc/containerd/config.toml"
  in_rootfs ctr oci spec | in_rootfs jq '
    .hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' >"$work/cri-base.json"
  install -m 0644 "$work/cri-base.json" "$rootfs/etc/containerd/cri-base.json"
}

# What kind's `build node-image` adds; and network and storage, which would be images that cannot be pulled.
kubernetes() {
  install -m 0755 -t "$rootfs/usr/bin" "$work"/bin/*
  echo -n "$version" >"$rootfs/kind/version"
  mkdir -p "$rootfs/opt/cni" "$rootfs/etc/cni/net.d"
  ln -s /usr/lib/cni "$rootfs/opt/cni/bin"
  install -m 0644 "$work/10-bindery.conflist" "$rootfs/etc/cni/net.d/"
  install -m 0644 "$work/default-storage.yaml" "$rootfs/kind/manifests/"
  install -d -m 0777 "${VOLUME_NAMES[@]/#/$rootfs$KIND_VOLUMES/}"
  install -m 0755 "$work/recycle.sh" "$rootfs/kind/bin/"
  install -m 0644 "$work/volume-recycler.service" "$rootfs/etc/systemd/system/"
  in_rootfs systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service volume-recycler.service
  in_rootfs systemctl --quiet mask systemd-binfmt.service
}

# kube-proxy runs nft, which is linked dynamically.
images() {
  mkdir "$work/archives"
  in_rootfs ldd /usr/sbin/nft | grep -oE '/[^ ]+' | sed 's|^/||' >"$work/libraries"
  tar --create --file "$work/nft.tar" --directory "$rootfs" --dereference usr/sbin/nft --files-from "$work/libraries"
  "$work/node-images" -bin "$work/images" -out "$work/archives" -with "kube-proxy=$work/nft.tar" <"$work/list"
}

# The images are unpacked by the node, when it starts a container of them. Everything ends with this process namespace.
import_images() {
  printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n' >"$work/import.toml"
  unshare --mount --pid --fork --kill-child -- bash -euo pipefail -s "$work" <<'SCRIPT'
    work=$1 rootfs=$1/rootfs
    mount -t proc proc "$rootfs/proc"
    mount -t tmpfs tmpfs "$rootfs/run"
    mount -t tmpfs tmpfs "$rootfs/mnt"
    cp "$work/import.toml" "$rootfs/mnt/"
    mkdir "$rootfs/mnt/archives"
    mount --bind "$work/archives" "$rootfs/mnt/archives"
    chroot "$rootfs" /usr/bin/containerd --config /mnt/import.toml --log-level warn >>"$work/log" 2>&1 &
    for _ in {1..100}; do
      ! chroot "$rootfs" ctr version >/dev/null 2>&1 || break
      sleep 0.1
    done
    for archive in "$rootfs"/mnt/archives/*; do
      chroot "$rootfs" ctr -n k8s.io images import --no-unpack "/mnt/archives/${archive##*/}" >/dev/null
    done
    kill %1
    wait %1 || [ $? = 143 ]
SCRIPT
}

debian
kind_files
kubernetes
say 'building the images of the control plane'
images
import_images

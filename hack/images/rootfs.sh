#!/usr/bin/env bash
# Packs a small Debian with servers into a tar, for machines that cannot pull the servers' own images. Which packages it has,
# and what else is done with it, is in hack/images/rootfs/NAME.sh.
# Needs Debian's or Ubuntu's debootstrap and root, or sudo. DEBIAN_MIRROR overrides where packages come from: debootstrap knows Debian's own place.
# usage: rootfs.sh NAME TAR
set -Eeuo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name=${1:?usage: rootfs.sh NAME TAR}
out=$(realpath -m "${2:?usage: rootfs.sh NAME TAR}")
suite=bookworm

if [ "$EUID" -ne 0 ]; then
  exec sudo --preserve-env=DEBIAN_MIRROR "$0" "$name" "$out"
fi
if ! command -v debootstrap >/dev/null; then
  install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends debootstrap wget debian-archive-keyring)
  "${install[@]}" >/dev/null 2>&1 || {
    apt-get update -qq >&2
    "${install[@]}" >&2
  }
fi

# Sets PACKAGES, and PARTS of the image that only a package manager, a reader or another server needs; says in finish what is
# to be done in the root file system.
# shellcheck source=/dev/null
source "$root/hack/images/rootfs/$name.sh"

# Not below /tmp, which may be mounted without devices and executables.
mkdir -p "${out%/*}"
work=$(mktemp -d -p "${out%/*}" ".$name-rootfs.XXXXXX")
clean() {
  umount -l "$work/rootfs/proc" "$work/rootfs/sys" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM
rootfs=$work/rootfs

echo "images: fetching Debian $suite and its ${PACKAGES[*]}" >&2
include=$(IFS=,; echo "${PACKAGES[*]}")
bootstrap() {
  debootstrap --foreign --variant=minbase --include="$include" "$suite" "$rootfs" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
  # A build that is cut short begins anew, so nothing has to be on the disk before the end.
  echo force-unsafe-io >"$rootfs/etc/dpkg/dpkg.cfg.d/unsafe-io"
  chroot "$rootfs" /debootstrap/debootstrap --second-stage
}
trap 'tail -n 20 "$work/log" >&2' ERR
bootstrap >"$work/log" 2>&1
trap - ERR

# Removes what only a package manager or a reader needs, and what differs from one run to the next.
(
  cd "$rootfs"
  finish
  # Globs and names, one a line.
  # shellcheck disable=SC2086
  rm -rf $PARTS
  rm -rf var/cache/* var/lib/apt/lists/* var/log/*.log var/log/apt var/lib/dpkg/*-old var/lib/dpkg/info/*.md5sums etc/machine-id \
    etc/*- etc/hostname etc/resolv.conf usr/share/{doc,doc-base,man,locale,info,lintian,bug} usr/lib/*/perl-base \
    usr/lib/*/gconv usr/bin/perl* dev/* run/* tmp/*
)
# It is still mounted where somebody looked into it when debootstrap was to take it away.
umount -l "$rootfs/proc" "$rootfs/sys" 2>/dev/null || true
tar --create --file "$work/tar" --directory "$rootfs" --format=gnu --sort=name --mtime=@0 --numeric-owner .
[ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$work/tar"
chmod 0644 "$work/tar"
mv "$work/tar" "$out"

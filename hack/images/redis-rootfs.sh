#!/usr/bin/env bash
# Packs a small Debian with redis-server and redis-cli into a tar, for machines that cannot pull Redis' own image.
# Needs Debian's or Ubuntu's debootstrap and root, or sudo. DEBIAN_MIRROR overrides where packages come from: debootstrap knows Debian's own place.
# usage: redis-rootfs.sh TAR
set -euo pipefail
out=$(realpath -m "${1:?usage: redis-rootfs.sh TAR}")
suite=bookworm # whose Redis is 7.0

if [ "$EUID" -ne 0 ]; then
  exec sudo --preserve-env=DEBIAN_MIRROR "$0" "$out"
fi
if ! command -v debootstrap >/dev/null; then
  install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends debootstrap wget debian-archive-keyring)
  "${install[@]}" >/dev/null 2>&1 || {
    apt-get update -qq >&2
    "${install[@]}" >&2
  }
fi

# Not below /tmp, which may be mounted without devices and executables.
mkdir -p "${out%/*}"
work=$(mktemp -d -p "${out%/*}" .redis-rootfs.XXXXXX)
clean() {
  umount -l "$work/rootfs/proc" "$work/rootfs/sys" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM
rootfs=$work/rootfs

echo "images: fetching Debian $suite and its redis-server" >&2
debootstrap --variant=minbase --include=redis-server "$suite" "$rootfs" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  exit 1
}

# The same user and folder as in Docker's image of Redis.
sed -i -E 's/^(redis:[^:]*):[0-9]+:[0-9]+:/\1:999:999:/' "$rootfs/etc/passwd"
sed -i -E 's/^(redis:[^:]*):[0-9]+:/\1:999:/' "$rootfs/etc/group"
chown -R 999:999 "$rootfs/etc/redis" "$rootfs/var/lib/redis" "$rootfs/var/log/redis"
install -d -o 999 -g 999 "$rootfs/data"

# Removes what only a package manager or a reader needs, and what differs from one run to the next.
(
  cd "$rootfs"
  rm -rf var/cache/* var/lib/apt/lists/* var/log/*.log var/log/apt var/lib/dpkg/*-old var/lib/dpkg/info/*.md5sums etc/machine-id \
    etc/*- etc/hostname etc/resolv.conf usr/share/{doc,doc-base,man,locale,info,lintian,bug,zoneinfo} usr/lib/*/perl-base \
    usr/lib/*/gconv usr/bin/perl* dev/* run/* tmp/*
)
tar --create --file "$work/tar" --directory "$rootfs" --format=gnu --sort=name --mtime=@0 --numeric-owner .
[ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$work/tar"
chmod 0644 "$work/tar"
mv "$work/tar" "$out"

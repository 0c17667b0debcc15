#!/usr/bin/env bash
# Builds a root file system with rootfs.sh, or takes the one that was built this week from the same files: Debian's updates
# come once a week then. They are kept beside Go's own cache, in the user's.
# usage: cached-rootfs.sh NAME TAR
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=${1:?usage: cached-rootfs.sh NAME TAR}
out=$(realpath -m "${2:?usage: cached-rootfs.sh NAME TAR}")

cache=${XDG_CACHE_HOME:-$HOME/.cache}/bindery
made_from=(hack/images/rootfs.sh "hack/images/rootfs/$name.sh" hack/testcouchdb/package-lock.json hack/clients/package-lock.json)
kept=$cache/$name-$(date +%G-W%V)-$(cat "${made_from[@]}" | sha256sum | cut -c1-16).tar

# copy FROM TO: whole, or not at all.
copy() {
	mkdir -p "${2%/*}"
	cp --reflink=auto "$1" "$2.part-$$"
	mv "$2.part-$$" "$2"
}

if [ -e "$kept" ]; then
	echo "images: the root file system of $name is that of this week" >&2
	copy "$kept" "$out"
	exit 0
fi
hack/images/rootfs.sh "$name" "$out"
rm -f "$cache/$name-"*.tar
copy "$out" "$kept"

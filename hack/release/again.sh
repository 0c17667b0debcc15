#!/usr/bin/env bash
# Builds a release of the commit that is checked out once more, in another folder, from another clone and with an empty
# cache, and fails where a file differs.
# usage: again.sh VERSION DIST HELM
set -euo pipefail
version=${1:?usage: again.sh VERSION DIST HELM} dist=$(realpath "${2:?}") helm=$(realpath "${3:?}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
# Go makes the files of its caches read-only.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
git clone --quiet --no-hardlinks . "$work/a-longer-path/bindery"
cd "$work/a-longer-path/bindery/hack/release"
GOCACHE=$work/cache go run . -version "$version" -out "$work/dist" -helm "$helm"
if ! diff "$dist/SHA256SUMS" "$work/dist/SHA256SUMS"; then
	echo "release: built twice, and not the same" >&2
	exit 1
fi
echo "release: built twice, and each of $(wc -l <"$dist/SHA256SUMS") files is the same" >&2

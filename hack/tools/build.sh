#!/usr/bin/env bash
# Builds the pinned tool NAME from its own module, hack/tools/NAME, into bin/.
# The packages to build are the `tool` directives of that module's go.mod. A single one is named after its folder here
# (etcd's package would be called `server`); several keep their own names, and bin/NAME is a stamp that stands for them.
set -euo pipefail
shopt -s lastpipe
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name=${1:?usage: build.sh NAME}
module=$root/hack/tools/$name
mkdir -p "$root/bin"
flags=()
[ ! -f "$module/ldflags" ] || flags=(-ldflags "$(tr '\n' ' ' <"$module/ldflags")")
(cd "$module" && go list -f '{{.ImportPath}}' tool) | mapfile -t packages
target=$root/bin/
[ ${#packages[@]} -gt 1 ] || target=$root/bin/$name
echo "building $name" >&2
(cd "$module" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath "${flags[@]}" -o "$target" "${packages[@]}")
# Go leaves a binary that is up to date alone; make wants to see that it was looked at.
for package in "${packages[@]}"; do [ ${#packages[@]} -eq 1 ] || touch "$root/bin/${package##*/}"; done
touch "$root/bin/$name"

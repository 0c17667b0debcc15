#!/usr/bin/env bash
# Builds the pinned tool NAME from its own module, hack/tools/NAME, into bin/.
# The packages to build are the `tool` directives of that module's go.mod.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name=${1:?usage: build.sh NAME}
module=$root/hack/tools/$name
mkdir -p "$root/bin"
flags=()
[ ! -f "$module/ldflags" ] || flags=(-ldflags "$(cat "$module/ldflags")")
packages=$(cd "$module" && go list -f '{{.ImportPath}}' tool)
echo "building $name" >&2
# shellcheck disable=SC2086 # one word per package
(cd "$module" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath "${flags[@]}" -o "$root/bin/" $packages)
touch "$root/bin/$name"

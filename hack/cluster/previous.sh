#!/usr/bin/env bash
# Builds the version of Bindery that hack/cluster/previous-version names, from its commit, into bin/previous, and loads the
# image of its operator into the cluster, with the tag `previous`. The tests upgrade from it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

commit=$(<"$ROOT/hack/cluster/previous-version")
git -C "$ROOT" cat-file -e "$commit^{commit}" 2>/dev/null ||
  die "the commit of the previous version, $commit, is not in this clone: git fetch --unshallow"
previous=$BIN/previous
if [ "$(cat "$previous/commit" 2>/dev/null)" != "$commit" ]; then
  rm -rf "$previous"
  mkdir -p "$previous/tree"
  git -C "$ROOT" archive "$commit" | tar -x -C "$previous/tree"
  (cd "$ROOT/hack/images" && go run . -root "$previous/tree" -out "$previous/images" -tag previous operator)
  echo "$commit" >"$previous/commit"
fi
IMAGES=$previous/images exec "$ROOT/hack/cluster/load.sh"

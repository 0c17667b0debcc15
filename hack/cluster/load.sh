#!/usr/bin/env bash
# Loads the images of bin/images (see hack/images) into the cluster that bin/cluster/env names, without those that it has.
# usage: load.sh [NAME...]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -f "$OUT/env" ] || die 'no cluster: make cluster-up'
CLUSTER_KIND=$(sed -n 's/^CLUSTER_KIND=//p' "$OUT/env")
[ "$CLUSTER_KIND" = kind ] || become_root "$@"

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$IMAGES" && printf '%s\n' *.image | sed 's/\.image$//')
for name in "${names[@]}"; do
  # Beside each archive: its reference, and the digest of its configuration.
  read -r reference digest <"$IMAGES/$name.image"
  if "${CLUSTER_KIND}_load" "$IMAGES/$name.tar" "$reference" "$digest"; then
    say "loaded $reference"
  else
    say "has $reference already"
  fi
done

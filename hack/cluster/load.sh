#!/usr/bin/env bash
# Loads the images of bin/images (see hack/images) into the cluster that bin/cluster/env names, without those that it has.
# usage: load.sh [NAME...]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

use_cluster "$@"
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for note in "$IMAGES"/*.image; do
    [ -e "$note" ] || die "there are no images in $IMAGES: make images"
    note=${note##*/}
    names+=("${note%.image}")
  done
fi
for name in "${names[@]}"; do
  # Beside each archive: its reference, and the digest of its configuration.
  read -r reference digest <"$IMAGES/$name.image"
  if "${CLUSTER_KIND}_has_image" "$reference" "$digest"; then
    say "has $reference already"
  else
    "${CLUSTER_KIND}_load" "$IMAGES/$name.tar" "$reference" "$digest"
    say "loaded $reference"
  fi
done

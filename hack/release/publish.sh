#!/usr/bin/env bash
# Publishes what `make release` has written into dist/: pushes the images and the chart, signs them and what they are made of
# in the name of the workflow that runs this (cosign, keyless), and makes the release on GitHub. It builds nothing.
# skopeo, helm and cosign are logged in to the registry, and gh to GitHub.
# usage: publish.sh VERSION HELM
set -euo pipefail
shopt -s inherit_errexit lastpipe
version=${1:?usage: publish.sh VERSION HELM} helm=$(realpath "${2:?}")
cd "$(dirname "${BASH_SOURCE[0]}")/../../dist"
sha256sum --check --quiet --strict SHA256SUMS

# images.txt: REGISTRY/NAME:VERSION@DIGEST on each line.
while read -r image; do
	tagged=${image%@*} digest=${image#*@}
	repository=${tagged%:*}
	name=${repository##*/}
	skopeo copy --quiet --all --preserve-digests "oci-archive:$name-$version.oci.tar" "docker://$tagged"
	cosign sign --yes --recursive "$repository@$digest"
	cosign attest --yes --type spdxjson --predicate "$name-$version.spdx.json" "$repository@$digest"
	registry=${repository%/*}
done <images.txt

# Helm says the digest of the chart on a line of its own.
pushed=$("$helm" push "bindery-${version#v}.tgz" "oci://$registry/charts" 2>&1)
echo "$pushed"
digest=$(sed -n 's/^Digest: *//p' <<<"$pushed")
cosign sign --yes "$registry/charts/bindery@${digest:?helm push said no digest}"

# The sums are signed, and with them every file.
cosign sign-blob --yes --bundle SHA256SUMS.sigstore.json SHA256SUMS
prerelease=()
[[ $version != *-* ]] || prerelease=(--prerelease)
gh release create "$version" --verify-tag --title "Bindery $version" --notes-file release-notes.md "${prerelease[@]}" -- *

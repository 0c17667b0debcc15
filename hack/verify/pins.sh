#!/usr/bin/env bash
# Fails, with the lines, where something is run that may be another thing tomorrow:
#   an image in a manifest or a document whose tag is `latest`, or that has none;
#   an action in a workflow that is not named by the full SHA of a commit, with its version in a comment behind it.
# It proves on examples first that it tells one from the other. The defaults in Go are held by a test of cmd/bindery.
set -euo pipefail
shopt -s inherit_errexit lastpipe
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# files PATTERN...: the repository's files, without what is deleted and not yet committed.
files() {
	local file
	git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
		[ ! -e "$file" ] || echo "$file"
	done
}

# lines WORD FILE...: the lines with the word, of which there may be none.
lines() { grep -nH -- "$@" || [ $? = 1 ]; }

# images FILE...: the lines with an image that is not pinned. An image is the value of `image:`, or of a flag --…image=.
images() {
	local file number line image
	lines image "$@" | while IFS=: read -r file number line; do
		[[ $line =~ (^[[:space:]-]*\"?image\"?:[[:space:]]+|--[a-z-]*image=)[\"\']?([^[:space:]\"\',#]+) ]] || continue
		image=${BASH_REMATCH[2]}
		[[ $image == \{* ]] && continue # of a chart: a template, or its values; hack/chart looks at what is rendered
		[[ $image =~ @sha256:[0-9a-f]{64}$ ]] && continue
		[[ ${image##*/} =~ ^[^:@]+:[A-Za-z0-9_][A-Za-z0-9_.-]*$ && $image != *:latest ]] && continue
		echo "$file:$number: $image"
	done
}

# actions FILE...: the lines with an action that is not pinned. One of this repository (./…) is as new as the workflow.
actions() {
	local file number line action
	lines uses: "$@" | while IFS=: read -r file number line; do
		[[ $line =~ ^[[:space:]-]*uses:[[:space:]]*(.*)$ ]] || continue
		action=${BASH_REMATCH[1]}
		[[ $action == ./* ]] && continue
		[[ $action =~ ^docker://.*@sha256:[0-9a-f]{64}$ ]] && continue
		[[ $action =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+@[0-9a-f]{40}\ #\ v?[0-9]+(\.[0-9]+)*$ ]] && continue
		echo "$file:$number: $action"
	done
}

# must_tell WHAT GOOD BAD: every line of BAD is reported, and none of GOOD.
must_tell() {
	local good bad
	good=$("$1" <(echo "$2"))
	bad=$("$1" <(echo "$3"))
	if [ -n "$good" ] || [ "$(wc -l <<<"$bad")" != "$(wc -l <<<"$3")" ]; then
		printf 'pins: %s reports of what is pinned: %s\nand of what is not: %s\n' "$1" "$good" "$bad" >&2
		exit 2
	fi
}

sha=$(printf '0%.0s' {1..40})
digest=$(printf '0%.0s' {1..64})
must_tell images "  - image: a.example.com:5000/b/c:v1
image: c:7.4.6-alpine # why
image: \"c@sha256:$digest\"
  - --probe-image=a.example.com/b:v1
  image:
  image: {registry: ghcr.io, repository: a/b}
  image: {{ include \"image\" . }}
  imagePullPolicy: IfNotPresent
--collector-image=localhost/c:dev" "image: c
  - image: c:latest
image: a.example.com:5000/c
image: \"a/c:latest\"
image: c@sha256:0
  - --probe-image=a.example.com/b:latest
  - --probe-image=a.example.com/b"
must_tell actions "  - uses: actions/checkout@$sha # v5.0.0
    uses: a/b/c@$sha # v1
  - uses: ./.github/actions/x
  - uses: docker://a/b@sha256:$digest" "  - uses: actions/checkout@v5.0.0
  - uses: actions/checkout@$sha
  - uses: actions/checkout@${sha:1} # v5.0.0
    uses: actions/checkout@main # v5.0.0
  - uses: docker://a/b:1"

files '*.yaml' '*.yml' '*.md' | mapfile -t manifests
files '.github/*.yaml' '.github/*.yml' | mapfile -t workflows
found=$(
	images "${manifests[@]}"
	actions "${workflows[@]}"
)
if [ -n "$found" ]; then
	echo "$found" >&2
	echo 'pins: give each image a tag that is not latest, and each action the SHA of its commit, with its version behind it:' \
		'uses: OWNER/NAME@SHA # v1.2.3' >&2
	exit 1
fi
echo "pins: every image of ${#manifests[@]} files and every action of ${#workflows[@]} workflows is pinned" >&2

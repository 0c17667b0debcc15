#!/usr/bin/env bash
# Fails, with the diff, if one of the generated PATHs differs from what is committed or staged, or is not in git at all.
# Run after `make generate`. It looks at those paths only and changes nothing, so other work in the tree is safe.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -gt 0 ] || { echo "usage: generated.sh PATH..." >&2; exit 2; }

changed=0
git --no-pager diff --exit-code -- "$@" || changed=1
untracked=$(git ls-files --others --exclude-standard -- "$@")
if [ -n "$untracked" ]; then
	echo "generated, but not in git:" >&2
	echo "$untracked" >&2
	changed=1
fi
for path; do
	if [ ! -e "$path" ]; then
		echo "$path is not generated" >&2
		changed=1
	fi
done
if [ "$changed" != 0 ]; then
	echo "generated files are out of date: run \`make generate\` and commit (or stage) what it changes" >&2
	exit 1
fi
echo "generated files are current" >&2

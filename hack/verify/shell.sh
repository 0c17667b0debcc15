#!/usr/bin/env bash
# Runs shellcheck over every shell script of the repository: *.sh, and whatever begins with #! and a shell.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
	command -v apt-get >/dev/null || { echo "install shellcheck: https://www.shellcheck.net" >&2; exit 1; }
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	echo "installing shellcheck" >&2
	"${as_root[@]}" apt-get update -qq >&2
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends shellcheck >&2
fi

scripts=()
while IFS= read -r -d '' file; do
	[ -f "$file" ] || continue # deleted, and not yet committed
	if [[ $file == *.sh ]] || head -c 64 -- "$file" | head -n 1 | tr -d '\0' | grep -qE '^#!.*[/ ](ba|da)?sh( |$)'; then
		scripts+=("$file")
	fi
done < <(git ls-files -z --cached --others --exclude-standard)
shellcheck --external-sources --source-path=SCRIPTDIR -- "${scripts[@]}"
echo "shellcheck: ${#scripts[@]} scripts" >&2

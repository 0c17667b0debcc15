#!/usr/bin/env bash
# Puts the scripts of a folder and the packages that they need, in the versions of its package-lock.json, into another
# folder. Installs Debian's Node.js if there is none on PATH.
# usage: npm.sh FROM FOLDER
set -euo pipefail
shopt -s nullglob
from=$(realpath "${1:?usage: npm.sh FROM FOLDER}")
out=$(realpath -m "${2:?usage: npm.sh FROM FOLDER}")

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	command -v apt-get >/dev/null || { echo "install Node.js and npm: https://nodejs.org" >&2; exit 1; }
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	echo "installing nodejs and npm" >&2
	"${as_root[@]}" apt-get update -qq >&2
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o DPkg::Lock::Timeout=300 nodejs npm >&2
fi
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 18 ] || { echo "this is Node.js $(node --version); 18 or later is needed" >&2; exit 1; }

# Beside the folder, which make takes for finished once it is there.
rm -rf "$out.new"
mkdir -p "$out.new"
cp "$from"/package*.json "$from"/*.js "$out.new"
# Nothing of a package is run while it is installed.
npm ci --prefix "$out.new" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error >&2
rm -rf "$out"
mv "$out.new" "$out"
touch "$out"

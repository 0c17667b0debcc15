#!/usr/bin/env bash
# Installs Debian's redis-server if there is none on PATH, for the tests that talk to a real Redis. They start servers of
# their own on ports of their own, so the system's service is not started.
set -euo pipefail

if command -v redis-server >/dev/null; then
	exit 0
fi
command -v apt-get >/dev/null || { echo "install redis-server: https://redis.io/docs/latest/operate/oss_and_stack/install" >&2; exit 1; }

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

# Debian's packages start what they install unless this program says 101, "action forbidden".
policy=/usr/sbin/policy-rc.d
saved=
restore() {
	"${as_root[@]}" rm -f "$policy"
	if [ -n "$saved" ]; then "${as_root[@]}" mv "$saved" "$policy"; fi
}
if [ -e "$policy" ]; then
	saved=$policy.before-redis-server
	"${as_root[@]}" mv "$policy" "$saved"
fi
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
"${as_root[@]}" chmod 755 "$policy"

echo "installing redis-server" >&2
"${as_root[@]}" apt-get update -qq >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	-o DPkg::Lock::Timeout=300 redis-server >&2
# And it is not started at the next boot.
if command -v systemctl >/dev/null; then "${as_root[@]}" systemctl --quiet disable redis-server; fi
redis-server --version >&2

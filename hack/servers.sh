#!/usr/bin/env bash
# Installs the servers that tests start, where they are missing, from Debian's packages: each test runs a process of its own
# on a port of its own, so the system's services are not started.
# usage: servers.sh PROGRAM=PACKAGE...   PROGRAM is a name on PATH, or a file.
set -euo pipefail

packages=()
find_missing() {
	local server
	packages=()
	for server; do
		command -v "${server%%=*}" >/dev/null || packages+=("${server#*=}")
	done
}
find_missing "$@"
[ ${#packages[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "install these servers, for the tests: $*" >&2; exit 1; }

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

# One run at a time: each puts the policy below in its place, and takes it away. Every user may open the folder for this.
policy=/usr/sbin/policy-rc.d
exec 9<"${policy%/*}"
flock 9
find_missing "$@" # without what the run before has installed
[ ${#packages[@]} -gt 0 ] || exit 0

# Debian's packages start what they install unless this program says 101, "action forbidden".
saved=
restore() {
	"${as_root[@]}" rm -f "$policy"
	if [ -n "$saved" ]; then "${as_root[@]}" mv "$saved" "$policy"; fi
}
if [ -e "$policy" ]; then
	saved=$policy.before-servers
	"${as_root[@]}" mv "$policy" "$saved"
fi
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
"${as_root[@]}" chmod 755 "$policy"

echo "installing ${packages[*]}" >&2
"${as_root[@]}" apt-get update -qq >&2 9<&-
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	-o DPkg::Lock::Timeout=300 "${packages[@]}" >&2 9<&-
# And they are not started at the next boot.
if command -v systemctl >/dev/null; then
	for service in redis-server mariadb postgresql rabbitmq-server memcached beanstalkd postfix; do
		if systemctl --quiet is-enabled "$service" 2>/dev/null; then "${as_root[@]}" systemctl --quiet disable "$service"; fi
	done
fi

#!/usr/bin/env bash
# Runs govulncheck over the root module, which is what is shipped.
#
# govulncheck asks a database on the network. Where only the module proxy is reached, the database is made of its records,
# which are a module too, with the database's own program. A machine that reaches neither is not vulnerable for that, so it is
# one loud line and no failure; every other error, and every finding, fails. VULNERABILITY_DATABASE=required makes an
# unreachable database fail too: set it where the network is known to be there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# What the resolver, the dialer and the TLS and HTTP clients of Go say when the server was not reached at all. An answer
# with a bad status or a damaged database is none of these.
unreachable='no such host|server misbehaving|connection (refused|reset|timed out)|network is unreachable|no route to host'
unreachable+='|i/o timeout|TLS handshake timeout|Client.Timeout exceeded|context deadline exceeded|proxyconnect'
records=golang.org/x/vulndb

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# make_database VERSION: into bin/vulndb-VERSION. The program reads the records of a commit, of which it needs the time.
make_database() {
	local from repository=$work/records
	from=$(go mod download -json "$records@$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
	mkdir "$repository"
	cp -r --no-preserve=mode "$from/data" "$repository/"
	git -C "$repository" init --quiet
	git -C "$repository" add .
	git -C "$repository" -c user.name=verify -c user.email=verify@localhost commit --quiet --message "$1"
	rm -rf bin/vulndb-*
	go run "$records/cmd/gendb@$1" -repo "$repository" -out "$work/vulndb" >&2
	mv "$work/vulndb" "bin/vulndb-$1"
}

status=0
bin/govulncheck ./... 2>"$work/errors" || status=$?
cat "$work/errors" >&2
if [ "$status" = 1 ] && grep -qE "^govulncheck: fetching vulnerabilities: .*($unreachable)" "$work/errors"; then
	version=$(go list -m -f '{{.Version}}' "$records@latest") || {
		echo "govulncheck: database unreachable, not checked" >&2
		[ "${VULNERABILITY_DATABASE:-optional}" = required ] || exit 0
		exit "$status"
	}
	[ -d "bin/vulndb-$version" ] || make_database "$version"
	echo "govulncheck: with the records that the module proxy has, $version" >&2
	status=0
	bin/govulncheck -db "file://$PWD/bin/vulndb-$version" ./... || status=$?
fi
exit "$status"

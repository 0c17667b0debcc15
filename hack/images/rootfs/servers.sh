# shellcheck shell=bash disable=SC2034,SC2154
# The servers that tests attach apps to, in one file system. A Pod says which of them it runs, and with which settings.
PACKAGES=(
  mariadb-server-core mariadb-client postgresql-15 rabbitmq-server memcached sasl2-bin libsasl2-modules beanstalkd nodejs
)
# PostgreSQL without its compiler, and what a package needs only while it is installed.
PARTS='usr/lib/*/libLLVM* usr/lib/llvm* usr/lib/*/libz3* usr/lib/postgresql/*/lib/llvmjit* usr/lib/postgresql/*/lib/bitcode
  usr/lib/postgresql/*/lib/pgxs usr/share/postgresql/*/man usr/share/postgresql/*/tsearch_data var/lib/postgresql etc/postgresql
  usr/share/perl* usr/lib/*/perl* usr/lib/*/libperl* usr/lib/python3* usr/bin/python3* usr/share/python3 usr/include
  usr/lib/apt var/lib/apt var/lib/dpkg usr/share/i18n usr/share/zoneinfo/right usr/share/nodejs/@types
  usr/bin/aria_* usr/bin/innochecksum usr/bin/mariadb-backup usr/bin/mariadb-check usr/bin/mariadb-slap usr/bin/mytop usr/bin/mariadb-upgrade
  usr/lib/erlang/lib/*/src usr/lib/erlang/lib/*/examples'

# PostgreSQL asks for the name of the user that it runs as. A CouchDB is in no package: see hack/testcouchdb.
# The clients of apps in JavaScript write to a Redis while something happens to it: see hack/clients.
finish() {
  echo 'server:x:65532:65532:server:/data:/bin/sh' >>etc/passwd
  echo 'server:x:65532:' >>etc/group
  mkdir -p data opt
  cp -R "$(realpath "$root/bin/couchdb")" opt/couchdb
  cp -R "$(realpath "$root/bin/clients")" opt/clients
}

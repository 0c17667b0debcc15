# shellcheck shell=bash disable=SC2034
# Redis, for the services that Bindery provisions.
PACKAGES=(redis-server) # Debian 12 has 7.0
PARTS='usr/share/zoneinfo'

# The same user and folder as in Docker's image of Redis.
finish() {
  sed -i -E 's/^(redis:[^:]*):[0-9]+:[0-9]+:/\1:999:999:/' etc/passwd
  sed -i -E 's/^(redis:[^:]*):[0-9]+:/\1:999:/' etc/group
  chown -R 999:999 etc/redis var/lib/redis var/log/redis
  install -d -o 999 -g 999 data
}

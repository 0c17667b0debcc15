#!/usr/bin/env bash
# Installs and starts a Docker engine, if none answers. Needs Debian or Ubuntu, and root or sudo.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if kind_has_engine; then
  say "a Docker engine answers already${DOCKER_HOST:+ at $DOCKER_HOST}"
  exit
fi
# Still as the user, who then owns what is built.
engine_has_sys_resource || build engine-runtime
become_root "$@"
lock
engine_up

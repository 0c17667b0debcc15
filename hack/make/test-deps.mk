##@ Tools

# The servers that tests of the probes start: PROGRAM=PACKAGE of Debian.
SERVERS := redis-server=redis-server /usr/sbin/mariadbd=mariadb-server-core my_print_defaults=mariadb-client-core /usr/lib/postgresql/15/bin/postgres=postgresql-15

.PHONY: servers
servers: ## Install the servers that tests start, from Debian's packages, where they are missing.
	@hack/servers.sh $(SERVERS)

# The Redis clients that apps in JavaScript use, and the script that tries them.
$(BIN)/clients: $(wildcard hack/clients/*)
	@hack/clients/install.sh $@

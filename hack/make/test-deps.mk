##@ Tools

# The servers that tests of the probes start: PROGRAM=PACKAGE of Debian.
SERVERS := redis-server=redis-server
SERVERS += /usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server memcached=memcached saslpasswd2=sasl2-bin beanstalkd=beanstalkd
SERVERS += /usr/sbin/mariadbd=mariadb-server-core my_print_defaults=mariadb-client-core mariadb-dump=mariadb-client
SERVERS += /usr/lib/postgresql/15/bin/postgres=postgresql-15

# And those that Debian does not have: an object store in Go, and a CouchDB for Node.js.
.PHONY: servers
servers: $(BIN)/versitygw $(BIN)/pouchdb-server ## Install the servers that tests start, where they are missing.
	@hack/servers.sh $(SERVERS)

$(BIN)/pouchdb-server: $(wildcard hack/testcouchdb/*.json) hack/npm.sh
	@hack/npm.sh hack/testcouchdb $(BIN)/couchdb
	@ln -sfn couchdb/node_modules/.bin/pouchdb-server $@ && touch $@

# The Redis clients that apps in JavaScript use, and the script that tries them.
$(BIN)/clients: $(wildcard hack/clients/*)
	@hack/npm.sh hack/clients $@

##@ Tools

.PHONY: redis-server
redis-server: ## Install Debian's redis-server, if there is none.
	@hack/redis-server.sh

# The Redis clients that apps in JavaScript use, and the script that tries them.
$(BIN)/clients: $(wildcard hack/clients/*)
	@hack/clients/install.sh $@

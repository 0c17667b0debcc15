##@ Tools

.PHONY: redis-server
redis-server: ## Install Debian's redis-server, if there is none.
	@hack/redis-server.sh

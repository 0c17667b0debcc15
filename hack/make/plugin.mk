##@ Plugin of kubectl

# Where the plugin goes. It has to be on the PATH.
DIR ?= $(or $(shell go env GOBIN),$(shell go env GOPATH)/bin)

.PHONY: install-plugin
install-plugin: ## Build the plugin `kubectl bindery`, and install it with what completes it (DIR=FOLDER, or GOBIN).
	@mkdir -p '$(DIR)'
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.commit=$$(git rev-parse HEAD)" -o '$(DIR)/kubectl-bindery' ./cmd/kubectl-bindery
	@install -m 0755 cmd/kubectl-bindery/kubectl_complete-bindery '$(DIR)/kubectl_complete-bindery'
	@case ":$$PATH:" in *:'$(DIR)':*) ;; *) echo 'install-plugin: $(DIR) is not on your PATH, so kubectl does not find the plugin' >&2 ;; esac

.PHONY: $(BIN)/kubectl-bindery
$(BIN)/kubectl-bindery:
	@PATH="$$PATH:$(BIN)" $(MAKE) --no-print-directory install-plugin DIR=$(BIN)

##@ Verify

# Every directory with a go.mod, and those of them that hold code of ours (a tool's module only pins the tool).
GO_MODULES = $(sort $(dir $(shell git ls-files --cached --others --exclude-standard -- go.mod '*/go.mod')))
GO_CODE = $(foreach module,$(GO_MODULES),$(if $(shell git ls-files --cached --others --exclude-standard -- '$(module)*.go'),$(module)))

.PHONY: verify
verify: verify-generated verify-modules verify-lint-rules verify-vulnerabilities verify-shell vet lint ## Run every check that needs no cluster.

.PHONY: verify-generated
verify-generated: generate ## Check that what is generated is current.
	@hack/verify/generated.sh $(GENERATED)

.PHONY: verify-modules
verify-modules: ## Check that every go.mod and go.sum is tidy.
	@for module in $(GO_MODULES); do echo "go mod tidy -diff: $$module"; (cd $$module && go mod tidy -diff); done

.PHONY: verify-lint-rules
verify-lint-rules: $(BIN)/golangci-lint ## Check that the linter reports broken rules of the tree.
	@hack/verify/lint-rules.sh

.PHONY: verify-vulnerabilities
verify-vulnerabilities: $(BIN)/govulncheck ## Check for known vulnerabilities that the code can reach.
	@hack/verify/vulnerabilities.sh

.PHONY: verify-shell
verify-shell: ## Check the shell scripts.
	@hack/verify/shell.sh

.PHONY: vet
vet: ## Run go vet, also over what only the e2e tests build.
	@for module in $(GO_CODE); do echo "go vet: $$module"; (cd $$module && go vet ./... && go vet -tags=e2e ./...); done

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linter over every module.
	@$(BIN)/golangci-lint config verify
	@for module in $(GO_CODE); do echo "golangci-lint: $$module"; (cd $$module && $(BIN)/golangci-lint run ./...); done

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## Format the code.
	@for module in $(GO_CODE); do (cd $$module && $(BIN)/golangci-lint fmt ./...); done

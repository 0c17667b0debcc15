##@ Verify

# Every directory with a go.mod, and those of them that hold code of ours (a tool's module only pins the tool). Where git
# cannot say, nothing would be checked.
GO_MODULES = $(or $(sort $(dir $(shell git ls-files --cached --others --exclude-standard -- go.mod '*/go.mod'))),$(error git finds no go.mod))
GO_CODE = $(foreach module,$(GO_MODULES),$(if $(shell git ls-files --cached --others --exclude-standard -- '$(module)*.go'),$(module)))

# $(call in-each,MODULES,COMMAND) runs the command in every module, and fails at the end if it failed in one.
in-each = status=0; for module in $(1); do echo "$$module: $(2)"; (cd $$module && $(2)) || status=1; done; exit $$status

.PHONY: verify
verify: verify-generated verify-modules verify-lint-rules verify-vulnerabilities verify-shell verify-pins verify-workflows scan-chart lint ## Run every check that needs no cluster.

.PHONY: verify-generated
verify-generated: generate ## Check that what is generated is current.
	@hack/verify/generated.sh $(GENERATED)

.PHONY: verify-modules
verify-modules: ## Check that every go.mod and go.sum is tidy.
	@$(call in-each,$(GO_MODULES),go mod tidy -diff)

.PHONY: verify-lint-rules
verify-lint-rules: $(BIN)/golangci-lint ## Check that the linter reports broken rules of the tree.
	@hack/verify/lint-rules.sh

.PHONY: verify-vulnerabilities
verify-vulnerabilities: $(BIN)/govulncheck ## Check for known vulnerabilities that the code can reach, with the Go of releases.
	@GOTOOLCHAIN=$(RELEASE_GO) hack/verify/vulnerabilities.sh

.PHONY: verify-shell
verify-shell: ## Check the shell scripts.
	@hack/verify/shell.sh

.PHONY: verify-pins
verify-pins: ## Check that images have a tag that is not latest, and actions the SHA of a commit.
	@hack/verify/pins.sh

.PHONY: verify-workflows
verify-workflows: verify-shell $(BIN)/actionlint ## Check the workflows, and the shell in them.
	@$(BIN)/actionlint
	@echo 'actionlint: the workflows are well-formed' >&2

.PHONY: scan
scan: scan-chart verify-vulnerabilities generate-third-party ## Look for weak points: in what the chart installs, in the code's dependencies, and in their licences.

.PHONY: scan-chart
scan-chart: $(BIN)/helm $(BIN)/kube-score ## Look for weak points in what the chart installs; what is accepted is in hack/scan/waivers.go.
	@cd hack/scan && go run .

.PHONY: vet
vet: ## Run go vet, also over what only the e2e tests build. It is a part of lint.
	@$(call in-each,$(GO_CODE),go vet ./... && go vet -tags=e2e ./...)

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linter over every module.
	@$(BIN)/golangci-lint config verify
	@$(call in-each,$(GO_CODE),$(BIN)/golangci-lint run ./...)

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## Format the code.
	@$(call in-each,$(GO_CODE),$(BIN)/golangci-lint fmt ./...)

##@ Test

# Packages are tested one after the other where they start servers of their own: the machine may be small.
TEST_FLAGS ?=

.PHONY: test
test: test-unit test-e2e ## Run every test: unit, API server, the real cluster, and every command of the documents.

.PHONY: test-unit
test-unit: $(BIN)/kubernetes $(BIN)/etcd $(BIN)/helm $(BIN)/helm3 $(BIN)/mailpit servers ## Run the tests that need no cluster; some start an API server, some another server.
	PATH=$$PATH:$(BIN) KUBEBUILDER_ASSETS=$(BIN) go test -timeout 30m $(TEST_FLAGS) ./...
	for module in images release gitops scan; do (cd hack/$$module && go test $(TEST_FLAGS) ./...) || exit 1; done

# What a user of kind would see first if it were broken: the story, and a swap under load. WITHOUT_KIND_TESTS leaves them out
# where they run in kind anyway.
KIND_TESTS := ^(TestStory|TestSwapUnderLoad)$$
WITHOUT_KIND_TESTS ?=

.PHONY: test-e2e
test-e2e: deploy cluster-load-previous cluster-load-servers $(BIN)/helm $(BIN)/clients $(BIN)/kubectl-bindery ## Run the tests with real Pods in the development cluster, which is brought up if it is not, and test-docs.
	BIN=$(BIN) go test -tags e2e -count=1 -timeout 60m -v $(if $(WITHOUT_KIND_TESTS),-skip '$(KIND_TESTS)') $(TEST_FLAGS) ./hack/e2e/...

.PHONY: test-kind
test-kind: ## Run the most telling of the e2e tests in a cluster of kind, which is taken down afterwards.
	@CLUSTER=kind $(MAKE) deploy
	BIN=$(BIN) go test -tags e2e -count=1 -timeout 20m -v -run '$(KIND_TESTS)' $(TEST_FLAGS) ./hack/e2e/...
	@CLUSTER=kind $(MAKE) cluster-down

# Those that need time, and those that do more where there is time.
LONG_TESTS := ^(TestQuickStart|TestSizing|TestPluginManyBindings|TestKills|TestCrash|TestQuiet|TestHandOver|TestMove|TestMoveFaults|TestMoveRefusals|TestMoveBack|TestCopyFaults|TestCatalog|TestSwapOfTypesUnderLoad)$$

.PHONY: test-long
test-long: deploy cluster-load-servers $(BIN)/helm $(BIN)/helm3 $(BIN)/etcd ## Run what takes long: the second story, the quick start with both versions of Helm, more kills and faults, also of moves, a leader that is killed, each type alone, thousands of Bindings.
	@hack/demo/catalog.sh
	@hack/demo/move.sh
	KUBEBUILDER_ASSETS=$(BIN) BINDERY_FAULT_SCHEDULES=2000 go test -count=1 -timeout 30m -run '^TestFaults$$' ./controllers
	KUBEBUILDER_ASSETS=$(BIN) LONG=1 go test -count=1 -timeout 60m -run '^TestCrashAfterEveryWrite$$' ./controllers
	PATH=$$PATH:$(BIN) KUBEBUILDER_ASSETS=$(BIN) LONG=1 go test -count=1 -timeout 30m -run '^TestReleases$$' ./hack/chart
	BIN=$(BIN) LONG=1 go test -tags e2e -count=1 -timeout 120m -v -run '$(LONG_TESTS)' $(TEST_FLAGS) ./hack/e2e/...

.PHONY: bench
bench: $(BIN)/kubernetes $(BIN)/etcd $(BIN)/helm ## Measure the budgets: time against a bare loop, requests and memory at a restart, and what Bindings cost a write.
	KUBEBUILDER_ASSETS=$(BIN) go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./controllers

##@ Release

# The Go that compiles a release and packs it: another one makes other bytes.
RELEASE_GO = $(shell awk '$$1 == "toolchain" {print $$2}' go.mod)
# TRIAL=1 allows a tree with changes that are not committed.
TRIAL ?=

.PHONY: release
release: $(BIN)/helm ## Write all that is published of a version into dist/: make release VERSION=v0.1.0 (TRIAL=1 also of a changed tree).
	@cd hack/release && GOTOOLCHAIN=$(RELEASE_GO) go run . -version '$(VERSION)' -root $(CURDIR) -out $(CURDIR)/dist -helm $(BIN)/helm $(if $(TRIAL),-trial)

.PHONY: verify-release
verify-release: release ## Build the committed tree once more, elsewhere and from nothing, and require the same files (make verify-release VERSION=v0.1.0).
	@GOTOOLCHAIN=$(RELEASE_GO) hack/release/again.sh '$(VERSION)' $(CURDIR)/dist $(BIN)/helm

# Every program, published or not yet.
PROGRAMS := ./cmd/...

# One more of what `make generate` writes.
GENERATED += docs/third-party.md
generate: generate-third-party

.PHONY: generate-third-party
generate-third-party: ## Write the list of third-party modules and licences; fails where one is not allowed.
	cd hack/release && GOTOOLCHAIN=$(RELEASE_GO) go run ./thirdparty -root $(CURDIR) -out $(CURDIR)/docs/third-party.md $(PROGRAMS)

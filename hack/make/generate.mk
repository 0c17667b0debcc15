##@ Generate

# What `make generate` writes, and nothing else does. `make verify-generated` proves that it is current.
GENERATED := \
	api/v1alpha1/zz_generated.deepcopy.go \
	config/crd/bases \
	config/rbac/role.yaml \
	charts/bindery/README.md \
	charts/bindery/files/crd \
	charts/bindery/files/policy \
	charts/bindery/files/rbac \
	docs/api.md \
	docs/types

.PHONY: generate
generate: generate-code generate-manifests generate-chart generate-docs generate-types ## Write everything that is generated: deepcopy, CRDs, role, the chart's copies, references.

.PHONY: generate-code
generate-code: $(BIN)/controller-gen ## Write the deepcopy methods of the API.
	$(BIN)/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...

# The CRDs are removed first, so that a kind that is gone from the API leaves no file behind.
.PHONY: generate-manifests
generate-manifests: generate-code ## Write the CRDs and the operator's role.
	rm -f config/crd/bases/*.yaml
	$(BIN)/controller-gen crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(BIN)/controller-gen rbac:roleName=bindery-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac

# Helm reads nothing outside of a chart's folder, and follows no links, so the chart has copies of what it installs. The
# ServiceAccount has a template of its own.
CHART := charts/bindery

.PHONY: generate-chart
generate-chart: generate-manifests $(BIN)/helm-docs ## Write what the chart has from config/, and its README.
	rm -rf $(CHART)/files/crd $(CHART)/files/policy $(CHART)/files/rbac
	mkdir -p $(CHART)/files/crd $(CHART)/files/policy/born-attached $(CHART)/files/rbac/secret-changes
	cp config/crd/bases/*.yaml $(CHART)/files/crd
	cp config/policy/*.yaml $(CHART)/files/policy
	cp config/policy/born-attached/*.yaml $(CHART)/files/policy/born-attached
	cp config/rbac/*.yaml $(CHART)/files/rbac
	cp config/rbac/secret-changes/role.yaml $(CHART)/files/rbac/secret-changes
	rm $(CHART)/files/policy/kustomization.yaml $(CHART)/files/policy/born-attached/kustomization.yaml \
		$(CHART)/files/rbac/kustomization.yaml $(CHART)/files/rbac/service_account.yaml
	$(BIN)/helm-docs --chart-search-root=$(CHART) --template-files=README.md.gotmpl --sort-values-order=file --log-level=warning

.PHONY: generate-docs
generate-docs: $(BIN)/crd-ref-docs ## Write docs/api.md from the comments of the API.
	@mkdir -p docs
	$(BIN)/crd-ref-docs --source-path=api/v1alpha1 --config=hack/tools/crd-ref-docs/config.yaml --templates-dir=hack/tools/crd-ref-docs/templates \
		--renderer=markdown --output-path=docs/api.md --log-level=ERROR

# docs/types/adding.md is written by hand.
.PHONY: generate-types
generate-types: ## Write the pages about the types from the catalog, and from what the probes can find out.
	go run ./controllers/internal/typedocs/generate docs/types

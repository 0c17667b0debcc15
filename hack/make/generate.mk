##@ Generate

# What `make generate` writes, and nothing else does. `make verify-generated` proves that it is current.
GENERATED := \
	api/v1alpha1/zz_generated.deepcopy.go \
	config/crd/bases \
	config/rbac/role.yaml \
	docs/api.md

.PHONY: generate
generate: generate-code generate-manifests generate-docs ## Write everything that is generated: deepcopy, CRDs, role, API reference.

.PHONY: generate-code
generate-code: $(BIN)/controller-gen ## Write the deepcopy methods of the API.
	$(BIN)/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...

# The CRDs are removed first, so that a kind that is gone from the API leaves no file behind.
.PHONY: generate-manifests
generate-manifests: generate-code ## Write the CRDs and the operator's role.
	rm -f config/crd/bases/*.yaml
	$(BIN)/controller-gen crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(BIN)/controller-gen rbac:roleName=bindery-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac

.PHONY: generate-docs
generate-docs: $(BIN)/crd-ref-docs ## Write docs/api.md from the comments of the API.
	@mkdir -p docs
	$(BIN)/crd-ref-docs --source-path=api/v1alpha1 --config=hack/tools/crd-ref-docs/config.yaml --templates-dir=hack/tools/crd-ref-docs/templates \
		--renderer=markdown --output-path=docs/api.md --log-level=ERROR

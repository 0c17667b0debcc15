# Tools, each built from source out of a module of its own: their dependencies do not agree with each other or with ours.
# hack/tools/NAME/go.mod pins what hack/tools/build.sh NAME builds into bin/.

$(BIN)/%: hack/tools/%/go.mod hack/tools/build.sh
	@hack/tools/build.sh $*

# Kubernetes is one module and six binaries; one build makes them all, also under `make -j`.
KUBERNETES_BINARIES := $(addprefix $(BIN)/,kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet)

$(KUBERNETES_BINARIES) &: hack/tools/kubernetes/go.mod hack/tools/kubernetes/ldflags hack/tools/build.sh
	@hack/tools/build.sh kubernetes

$(BIN)/kubernetes: $(KUBERNETES_BINARIES)
	@touch $@

.PHONY: tools
tools: $(patsubst hack/tools/%/go.mod,$(BIN)/%,$(wildcard hack/tools/*/go.mod)) ## Build every pinned tool into bin/.

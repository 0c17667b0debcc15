# Tools, each built from source out of a module of its own: their dependencies do not agree with each other or with ours.
# hack/tools/NAME/go.mod pins what hack/tools/build.sh NAME builds into bin/.

$(BIN)/%: hack/tools/%/go.mod hack/tools/build.sh
	@hack/tools/build.sh $*

.PHONY: tools
tools: $(patsubst hack/tools/%/go.mod,$(BIN)/%,$(wildcard hack/tools/*/go.mod)) ## Build every pinned tool into bin/.

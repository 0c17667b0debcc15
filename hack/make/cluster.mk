##@ Cluster

.PHONY: cluster-up
cluster-up: ## Start the development cluster, or find it running; writes bin/cluster/{kubeconfig,env}. CLUSTER=local|kind.
	@hack/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Take the development cluster down; leaves nothing of it.
	@hack/cluster/down.sh

.PHONY: cluster-load
cluster-load: images ## Build the images and load them into the development cluster.
	@hack/cluster/load.sh

IMAGES := cd hack/images && go run . -root $(CURDIR) -out $(BIN)/images

.PHONY: images
images: ## Build the images of this tree into bin/images. MISSING=load,… leaves out what is not there to build.
	@$(IMAGES) -missing '$(MISSING)'

# The local node cannot start a Pod without it.
$(BIN)/images/pause.tar: hack/images/go.mod $(wildcard hack/images/*.go) hack/images/pause/main.go
	@$(IMAGES) pause && touch $@

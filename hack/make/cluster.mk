##@ Cluster

.PHONY: cluster-up
cluster-up: $(BIN)/kubernetes $(BIN)/helm ## Start the development cluster, or find it running (CLUSTER=local|kind); writes bin/cluster/kubeconfig and env.
	@hack/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Take the development cluster down; leaves nothing of it.
	@hack/cluster/down.sh

.PHONY: cluster-engine
cluster-engine: ## Install and start a Docker engine for CLUSTER=kind, if none answers.
	@hack/cluster/engine-up.sh

.PHONY: cluster-engine-down
cluster-engine-down: ## Stop the engine that cluster-engine has started, with all that runs in it; leaves nothing of it.
	@hack/cluster/engine-down.sh

.PHONY: cluster-load
cluster-load: cluster-up images ## Build the images and load them into the development cluster, which is brought up if it is not.
	@hack/cluster/load.sh

.PHONY: cluster-load-previous
cluster-load-previous: cluster-up ## Build the operator of the version before this one, and load it into the development cluster.
	@hack/cluster/previous.sh

# With a go.mod of its own: the program that builds the images has dependencies that Bindery does not have.
BUILD_IMAGES := cd hack/images && go run . -root $(CURDIR) -out $(BIN)/images

# Images that may be left out where there is nothing to build them from: MISSING=load,collector.
MISSING ?=

# The images of servers that are in Debian's packages are built where Debian's tools are installed.
ifneq ($(wildcard /etc/debian_version),)
images: $(BIN)/images/redis.rootfs.tar
servers-images: $(BIN)/images/servers/servers.rootfs.tar
else
override MISSING := redis,servers,$(MISSING)
endif

.PHONY: images
images: ## Build the images of this tree into bin/images.
	@$(BUILD_IMAGES) -missing '$(MISSING)'

# Those of the servers that tests and the second story attach apps to, and of the apps for them, in a folder of their own:
# nothing else needs them.
.PHONY: servers-images
servers-images: $(BIN)/mailpit $(BIN)/versitygw $(BIN)/miniflux ## Build the images of the servers that e2e tests start, and of two apps for them, into bin/images/servers.
	@cd hack/images && go run . -root $(CURDIR) -out $(BIN)/images/servers -missing '$(MISSING)' servers vendor mailpit versitygw miniflux storefront writer

.PHONY: cluster-load-servers
cluster-load-servers: cluster-up servers-images ## Build those images and load them into the development cluster, which is brought up if it is not.
	@IMAGES=$(BIN)/images/servers hack/cluster/load.sh

$(BIN)/images/redis.rootfs.tar:
	@hack/images/cached-rootfs.sh redis $@

$(BIN)/images/servers/servers.rootfs.tar: hack/images/cached-rootfs.sh hack/images/rootfs.sh hack/images/rootfs/servers.sh $(BIN)/pouchdb-server $(BIN)/clients
	@hack/images/cached-rootfs.sh servers $@

# The local node cannot start a Pod without it.
$(BIN)/images/pause.tar: hack/images/go.mod $(wildcard hack/images/*.go hack/images/image/*.go) hack/images/pause/main.go
	@$(BUILD_IMAGES) pause && touch $@

# The engine's runtime, where the machine's root lacks a capability.
$(BIN)/engine-runtime: $(wildcard hack/cluster/runtime/*.go)
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ ./hack/cluster/runtime && touch $@

# The node of kind, where its image cannot be pulled. What else it is made of is in its name: see kind_node_tag in kind.sh.
$(BIN)/node-image.tar: $(addprefix $(BIN)/,kubernetes kubeadm crictl coredns etcd kind)
	@hack/cluster/node/build.sh $@

##@ Demo

# Which of the stories is played: that of pinger, that of a deploy with four services, or that of data that moves with the swap.
# The servers of the last two are built for them. CI plays the first one; `make test-long` plays the others.
STORY ?= pinger
STORY_OF_pinger := hack/demo/demo.sh
STORY_OF_catalog := hack/demo/catalog.sh
STORY_OF_move := hack/demo/move.sh

.PHONY: demo
demo: demo-known deploy $(if $(filter catalog move,$(STORY)),cluster-load-servers) ## Play a story, under load: attach, swap and detach (STORY=pinger|catalog|move, KEEP=1 leaves it in place, NAMESPACE=shop is where).
	@$(STORY_OF_$(STORY))

# Before anything is built. Other targets do not care: STORY may be in the environment, and mean something else there.
.PHONY: demo-known
demo-known:
	@: $(if $(STORY_OF_$(STORY)),,$(error STORY=$(STORY): it is pinger, catalog or move))

.PHONY: test-docs
test-docs: deploy $(BIN)/kubectl-bindery ## Run every command of the documents against the development cluster, and compare the output (test-e2e does, too, with those that install Bindery).
	@hack/demo/check-docs.sh

##@ Demo

# Which of the stories is played: that of pinger, or that of a deploy with four services, whose servers are built for it. CI
# plays the first one; `make test-long` plays the second.
STORY ?= pinger
STORIES := pinger catalog
ifeq ($(filter $(STORY),$(STORIES)),)
$(error STORY=$(STORY): it is one of $(STORIES))
endif

.PHONY: demo
demo: deploy $(if $(filter catalog,$(STORY)),cluster-load-servers) ## Play a story, under load: attach, swap and detach (STORY=pinger|catalog, KEEP=1 leaves it in place, NAMESPACE=shop is where).
	@hack/demo/$(if $(filter catalog,$(STORY)),catalog,demo).sh

.PHONY: test-docs
test-docs: deploy ## Run every command of the documents against the development cluster, and compare the output (test-e2e does, too, with those that install Bindery).
	@hack/demo/check-docs.sh

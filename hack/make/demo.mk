##@ Demo

.PHONY: demo
demo: deploy ## Play the story: attach, swap and detach, under load (KEEP=1 leaves it in place, NAMESPACE=shop is where).
	@hack/demo/demo.sh

.PHONY: test-docs
test-docs: deploy ## Run every command of the documents against the development cluster, and compare the output (test-e2e does, too, with those that install Bindery).
	@hack/demo/check-docs.sh

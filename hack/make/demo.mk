##@ Demo

.PHONY: demo
demo: deploy ## Play the story: attach, swap and detach, under load (KEEP=1 leaves it in place, NAMESPACE=shop is where).
	@hack/demo/demo.sh

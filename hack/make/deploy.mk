##@ Try it

KUBECTL := $(BIN)/kubectl --kubeconfig $(BIN)/cluster/kubeconfig

# The tag of the images is the same in every build, so the operator is restarted to run what was just built.
.PHONY: deploy
deploy: cluster-up cluster-load $(BIN)/kubernetes ## Install Bindery from this tree into the development cluster.
	@$(KUBECTL) apply --server-side --force-conflicts -k config/dev
	@$(KUBECTL) -n bindery-system rollout restart deployment/bindery-operator
	@$(KUBECTL) -n bindery-system rollout status deployment/bindery-operator --timeout=120s

.PHONY: undeploy
undeploy: $(BIN)/kubernetes ## Remove Bindery from the development cluster, and every BackingService and Binding with it.
	@$(KUBECTL) delete --ignore-not-found -k config/dev

##@ Try it

KUBECTL := $(BIN)/kubectl --kubeconfig $(BIN)/cluster/kubeconfig

.PHONY: deploy
deploy: cluster-load ## Install Bindery from this tree into the development cluster, through its chart.
	@hack/cluster/install.sh

.PHONY: undeploy
undeploy: $(BIN)/kubernetes $(BIN)/helm ## Remove Bindery from the development cluster, and every BackingService and Binding with it.
	@$(BIN)/helm --kubeconfig $(BIN)/cluster/kubeconfig uninstall bindery --namespace bindery-system --ignore-not-found --wait
	@$(KUBECTL) delete crd backingservices.bindery.dev bindings.bindery.dev --ignore-not-found
	@$(KUBECTL) delete namespace bindery-system --ignore-not-found

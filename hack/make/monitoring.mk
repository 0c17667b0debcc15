##@ Monitoring

GENERATED += charts/bindery/files/dashboard.json

generate: generate-dashboard
test-unit: test-monitoring

.PHONY: generate-dashboard
generate-dashboard: ## Write the Grafana dashboard of the chart.
	cd hack/monitoring && go run ./dashboard >$(CURDIR)/charts/bindery/files/dashboard.json

.PHONY: test-monitoring
test-monitoring: ## Test the alerts and the dashboard, with the rules of Prometheus and the schema of Grafana.
	cd hack/monitoring && go test $(TEST_FLAGS) ./...

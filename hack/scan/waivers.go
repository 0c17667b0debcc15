package main

// waiver accepts what a check finds.
type waiver struct {
	check  string
	reason string
}

var waivers = []waiver{
	{
		check:  "kube-score/container-ephemeral-storage-request-and-limit",
		reason: "there is a limit; a Pod with a request does not fit on a node whose kubelet does not count its disk",
	},
	{
		check: "kube-score/container-image-pull-policy",
		reason: "a release names its images by digest, so what was pulled once is what would be pulled again, " +
			"and an operator starts while the registry is away",
	},
	{
		check:  "kube-score/container-resources",
		reason: "memory is limited; a limit of CPU would slow the operator down where the node has time to spare, and a swap with it",
	},
	{
		check: "kube-score/container-security-context-user-group-id",
		reason: "the images name the user, 65532, and runAsNonRoot holds them to it; " +
			"a number in the chart would be refused by clusters that choose users themselves (OpenShift)",
	},
	{
		check: "kube-score/deployment-has-host-podantiaffinity",
		reason: "the scheduler spreads the Pods of a Deployment over the nodes by itself; " +
			"a rule without exception is a value away (affinity, topologySpreadConstraints)",
	},
	{
		check:  "kube-score/deployment-replicas",
		reason: "one operator is enough: while none runs, apps keep what they have; two are a value away (replicas)",
	},
	{
		check:  "kube-score/deployment-strategy",
		reason: "the operator's Service is for metrics only; with one replica, the old Pod has to give its lease back before the new one asks for it",
	},
	{
		check:  "kube-score/pod-networkpolicy",
		reason: "a policy has to know where the API server is, which differs from cluster to cluster; it is a value away (networkPolicy.enabled)",
	},
}

func waiverOf(f finding) *waiver {
	for i := range waivers {
		if waivers[i].check == f.check {
			return &waivers[i]
		}
	}
	return nil
}

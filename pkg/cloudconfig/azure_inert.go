// SPDX-License-Identifier: Apache-2.0

package cloudconfig

// azureInertKeys are the keys that have no effect, and why.
func azureInertKeys() []azureKey {
	const (
		basic    = "it is for Basic load balancers, and none are made"
		cache    = "how long an answer is kept is the controller's own: of load balancers, public IPs and the security group none is"
		rate     = "calls follow the limits that Azure answers with; cloud-provider-azure ignores it too"
		backoff  = "retries and their waits are the controller's own"
		batches  = "what waits is written at once, in one write"
		machines = "nodes of every kind are found by themselves"
		pods     = "rules are for nodes only"
	)
	var out []azureKey
	add := func(why string, names ...string) {
		for _, name := range names {
			out = append(out, azureKey{name: name, read: func(v value, _ *azureDraft) { v.inert(why) }})
		}
	}
	add("with nodeIP the machines leave their pools one by one, and then the pools take their addresses", "enableMigrateToIPBasedBackendPoolAPI")
	add("instances of scale sets are written side by side", "putVMSSVMBatchSize")
	add("a Retry-After of Azure is obeyed as it stands", "enableMinimumRetryAfter")
	add(backoff, "cloudProviderBackoff", "cloudProviderBackoffRetries", "cloudProviderBackoffExponent",
		"cloudProviderBackoffDuration", "cloudProviderBackoffJitter")
	add("identities of the managed data plane are of AKS alone", "aadMSIDataPlaneIdentityPath")
	add("tokens are not read from a key vault; for a network of another tenant use a client secret, a certificate or workload identity",
		"auxiliaryTokenProvider")
	add(basic, "primaryAvailabilitySetName", "primaryScaleSetName", "maximumLoadBalancerRuleCount")
	add(machines, "disableAvailabilitySetNodes", "enableVmssFlexNodes")
	add("the controller asks Azure Resource Manager, which knows of all nodes", "useInstanceMetadata")
	add(batches, "loadBalancerBackendPoolUpdateIntervalInSeconds", "routeUpdateIntervalInSeconds", "routeUpdateWaitingInSeconds")
	add("the controller always works; to stop it, scale it to 0", "disableCloudProvider")
	add(pods, "podCidrIPv4", "podCidrIPv6")
	add(cache, "disableAPICallCache", "loadBalancerCacheTTLInSeconds", "nsgCacheTTLInSeconds", "publicIPCacheTTLInSeconds",
		"plsCacheTTLInSeconds", "routeTableCacheTTLInSeconds", "vmCacheTTLInSeconds", "vmssCacheTTLInSeconds",
		"vmssVirtualMachinesCacheTTLInSeconds", "vmssFlexCacheTTLInSeconds", "vmssFlexVMCacheTTLInSeconds",
		"availabilitySetsCacheTTLInSeconds", "nonVmssUniformNodesCacheTTLInSeconds", "listVmssVirtualMachinesWithoutInstanceView")
	add(rate, "cloudProviderRateLimit", "cloudProviderRateLimitQPS", "cloudProviderRateLimitBucket",
		"cloudProviderRateLimitQPSWrite", "cloudProviderRateLimitBucketWrite")
	for _, client := range []string{
		"availabilitySet", "containerService", "deployment", "disk", "interface", "ipGroup", "loadBalancer", "natGateway",
		"privateDNS", "privateEndpoint", "privateLinkService", "publicIPAddress", "routeTable", "securityGroup",
		"serviceGateway", "snapshot", "storageAccount", "subnets", "virtualMachine", "virtualMachineScaleSet", "virtualNetwork",
	} {
		add(rate, client+"RateLimit")
	}
	return out
}

// inert tells that a key has no effect. What switches it off is as meant.
func (v value) inert(why string) {
	switch v.node.Value {
	case "false", "0":
		return
	}
	v.secret = true
	v.warn("has no effect: "+why, "remove it")
}

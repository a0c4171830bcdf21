// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestAzureDemo(t *testing.T) {
	p := testPaths(t.TempDir())
	p.cloud = cloudAzure
	buildInto(t, p, "./cmd/"+controllerName, "./cmd/"+pluginName, "./test/cloud/azure/cmd/"+azureSimulator)
	tellsTheStory(t, p, azureStory())
}

func TestCloudOfTheEnvironment(t *testing.T) {
	for name, want := range map[string]cloud{"": cloudMetal, "metal": cloudMetal, "azure": cloudAzure, "aws": cloudAWS} {
		if got, err := parseCloud(name); err != nil || got != want {
			t.Errorf("CLOUD=%s is %d, %v; want %d", name, got, err, want)
		}
	}
	if _, err := parseCloud("gcp"); err == nil {
		t.Error("CLOUD=gcp was taken")
	}
}

// azureStory is what must be told of Azure, act by act.
func azureStory() []act {
	const (
		nothing   = `ok +kubectl fairlead plan --all --cloud-config=azure\.json: exit code 0$`
		something = `ok +kubectl fairlead plan \S+ --cloud-config=azure\.json: exit code 2$`
		balancer  = `azure +PUT +loadBalancers/kubernetes: 200 ok`
		group     = `azure +PUT +networkSecurityGroups/vote-nsg: 200 ok`
		routes    = `azure +PUT +routeTables/vote-routes: 200 ok`
	)
	return []act{
		{"1. A cluster, and Azure", []string{
			`ok +the simulated Azure answers at http://127\.0\.0\.1:\d+$`,
			`ok +Kubernetes v1\.\d+\.\d+ serves at https://127\.0\.0\.1:\d+$`,
		}},
		{"2. Fairlead takes cloud-provider-azure's place", []string{`ok +\d+ objects applied$`, nothing}},
		{"3. Two nodes", []string{
			`node +nodepool1000000 is initialized: azure://…/Microsoft\.Compute/virtualMachineScaleSets/nodepool1/virtualMachines/0$`,
			`node +nodepool1000001 is initialized: `, routes,
		}},
		{"4. A Service of type LoadBalancer", []string{
			something,
			`^ +\+ azure/publicIP kubernetes-a\w+ for default/azure-vote-front$`,
			`^ +Plan: 1 to create, 2 to update\.$`,
			`azure +PUT +publicIPAddresses/kubernetes-a\w+: 201 created`, balancer, group,
			`svc +azure-vote-front +LoadBalancer +10\.0\.\d+\.\d+ +20\.\d+\.\d+\.\d+ +80:\d+/TCP$`,
			`ok +kubectl fairlead explain azure-vote-front --cloud-config=azure\.json: exit code 0$`,
			`frontend a\w+ \[Succeeded, in step\]$`, `node nodepool1000001 10\.240\.0\.5 \[in the pool\]$`,
		}},
		{"5. A change", []string{something, `idleTimeoutInMinutes: 4 -> 10$`, `Tcp 80 from 203\.0\.113\.0/24 to 20\.`, balancer, group}},
		{"6. A mistake is refused when it is made", []string{`refused: annotation \S+-tcp-idle-timeout is "2", but must be`}},
		{"7. A Service with an address of its own", []string{
			`event +mysql +PublicIPNotFound: spec\.loadBalancerIP asks for 13\.95\.156\.213, but no public IP`,
			something, balancer, group, `svc +mysql +LoadBalancer +10\.0\.0\.2 +13\.95\.156\.212 +3306:\d+/TCP$`,
		}},
		{"8. A third node", []string{
			something, `pool kubernetes members: nodepool1000002 added$`, balancer, routes,
			`node +nodepool1000002 is initialized: `,
		}},
		{"9. Both Services are deleted", []string{
			something, `^ +Plan: 2 to update, 1 to delete\.$`, balancer, group,
			`azure +DELETE publicIPAddresses/kubernetes-a\w+: 202 accepted$`,
			`svc +azure-vote-front is gone$`, `svc +mysql +is gone$`,
			`ok +load balancer, public IPs and security group are as they were at the start$`,
		}},
		{"What was seen", []string{`azure-vote-front had its address \d+ ms after`, "`make demo CLOUD=azure KEEP=1` leaves it running"}},
	}
}

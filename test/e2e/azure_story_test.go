// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
)

const (
	voteFront = "azure-vote-front"
	mysql     = "mysql"
)

// The controller manager and the plugin as they are shipped, before a real API
// server and a simulated Azure.
func TestAzure(t *testing.T) {
	bin := buildCommands(t, controller, plugin)
	t.Run("serves, refuses and cleans up", func(t *testing.T) { azureStory(t, bin) })
	for _, state := range []string{"vmss-ip.all", "vmss-nic.dual-stack"} {
		t.Run("adopts "+state, func(t *testing.T) { adopts(t, bin, state) })
	}
}

func azureStory(t *testing.T, bin string) {
	t.Helper()
	cloud := azuresim.New(azuresim.Options{MaxRetryAfter: time.Second})
	if err := votefront.Prepare(cloud, 2); err != nil {
		t.Fatal(err)
	}
	s := newAzureStand(t, bin, cloud, map[string]any{"loadBalancerBackendPoolConfigurationType": "nodeIP"})
	before := s.balancing(t)
	for i := range byte(2) {
		s.createNode(t, votefront.RegisteredNode(i))
	}
	says(t, s.run(t, 0, "plan", "--all"), "No Service is ours")
	s.apply(t, voteFront+".yaml", nil)
	s.showsOnly(t)

	manager := s.manage(t, "--allocate-node-cidrs", "--configure-cloud-routes", "--route-reconciliation-period=1s",
		"--cluster-cidr="+votefront.PodRange().String())
	s.serves(t)
	s.scales(t)
	s.refuses(t)
	s.delete(t, voteFront, mysql)
	if after := s.balancing(t); after != before {
		t.Errorf("something is left in Azure; before:\n%s\nafter:\n%s", before, after)
	}
	manager.stop(t)
}

// showsOnly lets a dry run and the plugin look at a Service that nobody serves
// yet.
func (s *azureStand) showsOnly(t *testing.T) {
	t.Helper()
	dry := s.manage(t, "--dry-run")
	steps := []string{
		"+ azure/publicIP kubernetes-a", "~ azure/loadBalancer kubernetes for default/" + voteFront,
		"pool kubernetes members: nodepool1000000,nodepool1000001 added", "~ azure/securityGroup vote-nsg", "Plan: 1 to create, 2 to update.",
	}
	eventually(t, "the dry run printed the plan", func(context.Context) error {
		text, err := os.ReadFile(filepath.Join(t.ArtifactDir(), controller+".log"))
		for _, step := range steps {
			if err == nil && !strings.Contains(string(text), step) {
				err = fmt.Errorf("there is no %q in\n%s", step, text)
			}
		}
		return err
	})
	dry.stop(t)
	says(t, s.run(t, 2, "plan", voteFront), steps...)
	says(t, s.run(t, 2, "plan", "--all", "-o", "json"), `"azure/publicIP"`)
	says(t, s.run(t, 0, "explain", voteFront), "no address yet", "no controller leads", "to be written: 3 steps", "frontend a", "[not there yet]",
		"node nodepool1000001 10.240.0.5 [not in the pool yet]")
	if writes := s.writes(); len(writes) > 0 {
		t.Errorf("written to Azure: %q", writes)
	}
	svc, err := s.admin.CoreV1().Services("default").Get(t.Context(), voteFront, metav1.GetOptions{})
	if err != nil || len(svc.Finalizers) > 0 || len(svc.Status.Conditions) > 0 || len(svc.Status.LoadBalancer.Ingress) > 0 {
		t.Errorf("the Service has finalizers %q and status %+v (%v)", svc.Finalizers, svc.Status, err)
	}
	if _, err := s.admin.CoordinationV1().Leases("kube-system").Get(t.Context(), "cloud-controller-manager", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the lease was taken (error %v)", err)
	}
}

// serves checks what becomes of the vote front.
func (s *azureStand) serves(t *testing.T) {
	t.Helper()
	address := s.awaitAddress(t, voteFront, func(ip string) bool { return netip.MustParseAddr(ip).Is4() })
	eventually(t, "the Service is told to be served", func(ctx context.Context) error {
		return s.hasEvent(ctx, "default", voteFront, "EnsuredLoadBalancer", "its address is "+address)
	})
	svc, err := s.admin.CoreV1().Services("default").Get(t.Context(), voteFront, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var lb balancerDocument
	s.document(t, azuresim.LoadBalancers, votefront.ClusterName, &lb)
	rules, probes := lb.Properties.LoadBalancingRules, lb.Properties.Probes
	if len(rules) != 1 || rules[0].Properties.FrontendPort != 80 || rules[0].Properties.BackendPort != 80 || !rules[0].Properties.EnableFloatingIP {
		t.Errorf("the rules are %+v", rules)
	}
	if len(probes) != 1 || probes[0].Properties.Protocol != "Tcp" || probes[0].Properties.Port != svc.Spec.Ports[0].NodePort {
		t.Errorf("the probes are %+v, and the Service's port is %+v", probes, svc.Spec.Ports[0])
	}
	if outbound := lb.Properties.OutboundRules; len(outbound) != 1 || outbound[0].Name != votefront.OutboundRule {
		t.Errorf("the outbound rules are %+v", outbound)
	}
	var group securityDocument
	s.document(t, azuresim.SecurityGroups, votefront.Group+"-nsg", &group)
	if r := group.Properties.SecurityRules; len(r) != 1 || r[0].Properties.DestinationAddressPrefix != address || r[0].Properties.Access != "Allow" {
		t.Errorf("the security rules are %+v", r)
	}
	eventually(t, "nothing is left to do", func(ctx context.Context) error {
		_, err := s.tryRun(ctx, 0, "plan", "--all")
		return err
	})
	tree := s.run(t, 0, "explain", "svc/"+voteFront)
	says(t, tree, "addresses "+address, "load balancer kubernetes [Succeeded]", "public IP kubernetes-a", address+" [Succeeded, in step]",
		"Tcp 80 to 80 of pool kubernetes [Succeeded, in step]", "[in the pool]", "Tcp 80 from Internet to "+address, "EnsuredLoadBalancer")
	silentAbout(t, tree, "not there yet", "differs", "to be written", "waits:", "no controller leads", votefront.OutboundRule)
}

// scales adds a machine and its node.
func (s *azureStand) scales(t *testing.T) {
	t.Helper()
	if err := s.cloud.Scale(s.cloud.ID(votefront.Group, azuresim.ScaleSets, votefront.ScaleSet), 3); err != nil {
		t.Fatal(err)
	}
	s.createNode(t, votefront.Node(2)) // as its kubelet registers it, without address
	eventually(t, "the node is initialized, in the pool and has a route", func(ctx context.Context) error {
		node, err := s.admin.CoreV1().Nodes().Get(ctx, votefront.Node(2).Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var lb balancerDocument
		s.document(t, azuresim.LoadBalancers, votefront.ClusterName, &lb)
		var table routesDocument
		s.document(t, azuresim.RouteTables, votefront.Group+"-routes", &table)
		members := lb.Properties.members(votefront.ClusterName)
		if node.Spec.ProviderID != votefront.RegisteredNode(2).Spec.ProviderID || tainted(node) || members != 3 || len(table.Properties.Routes) != 3 {
			return fmt.Errorf("provider id %q, taints %v, %d members, routes %+v", node.Spec.ProviderID, node.Spec.Taints, members, table.Properties.Routes)
		}
		return nil
	})
}

// refuses applies a Service that asks for a public IP which is not there, and
// then one that is.
func (s *azureStand) refuses(t *testing.T) {
	t.Helper()
	balancing := s.balancing(t)
	wrong := votefront.StaticAddress().Next().String()
	s.apply(t, "azure-mysql-static-ip.yaml", func(o *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(o.Object, wrong, "spec", "loadBalancerIP"); err != nil {
			t.Fatal(err)
		}
	})
	s.awaitCondition(t, mysql, "PublicIPNotFound")
	eventually(t, "the refusal is told", func(ctx context.Context) error {
		return s.hasEvent(ctx, "default", mysql, "PublicIPNotFound", "it has the condition")
	})
	sentence := "spec.loadBalancerIP asks for " + wrong + ", but no public IP in resource group vote has that address"
	says(t, s.run(t, 3, "plan", mysql), sentence)
	tree := s.run(t, 0, "explain", mysql)
	says(t, tree, "no address yet", "waits: PublicIPNotFound: ", sentence, "nothing of it is in the cloud")
	if now := s.balancing(t); now != balancing {
		t.Errorf("for a refused Service Azure went from\n%s\nto\n%s", balancing, now)
	}
	s.apply(t, "azure-mysql-static-ip.yaml", nil)
	right := votefront.StaticAddress().String()
	s.awaitAddress(t, mysql, func(ip string) bool { return ip == right })
	eventually(t, "the condition says that it is served", func(ctx context.Context) error {
		svc, err := s.admin.CoreV1().Services("default").Get(ctx, mysql, metav1.GetOptions{})
		if err == nil && len(svc.Status.Conditions) > 0 && svc.Status.Conditions[0].Status != metav1.ConditionTrue {
			err = fmt.Errorf("it is %+v", svc.Status.Conditions)
		}
		return err
	})
	says(t, s.run(t, 0, "explain", mysql), "public IP mysql-ip "+right+", not made for a Service [Succeeded, in step]")
}

// What the test reads of a load balancer, a security group and a route table.
type (
	balancerDocument struct {
		Properties balancerProperties
	}
	balancerProperties struct {
		LoadBalancingRules []struct {
			Properties struct {
				FrontendPort, BackendPort int
				EnableFloatingIP          bool
			}
		}
		Probes []struct {
			Properties struct {
				Protocol string
				Port     int32
			}
		}
		OutboundRules       []struct{ Name string }
		BackendAddressPools []struct {
			Name       string
			Properties struct {
				LoadBalancerBackendAddresses []struct{ Name string }
			}
		}
	}
	securityDocument struct {
		Properties struct {
			SecurityRules []struct {
				Properties struct{ Access, DestinationAddressPrefix string }
			}
		}
	}
	routesDocument struct {
		Properties struct{ Routes []struct{ Name string } }
	}
)

// members counts the addresses of a pool.
func (p *balancerProperties) members(pool string) int {
	for _, b := range p.BackendAddressPools {
		if b.Name == pool {
			return len(b.Properties.LoadBalancerBackendAddresses)
		}
	}
	return 0
}

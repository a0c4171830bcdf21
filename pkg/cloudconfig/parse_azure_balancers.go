// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// azureSKU accepts Standard load balancers only.
func (v value) azureSKU() {
	s, ok := v.text()
	switch {
	case !ok, strings.EqualFold(s, "standard"):
	case strings.EqualFold(s, "basic"):
		v.fault("Basic load balancers are not supported, because Azure has retired them",
			"upgrade the load balancers and public IPs to Standard, then write standard")
	case strings.EqualFold(s, "service"):
		v.fault("load balancers of a service gateway are not supported, because they are of AKS alone", "write standard")
	default:
		v.fault("is not known", "write standard")
	}
}

func (v value) azurePoolType(a *Azure) {
	if s, ok := v.text(); ok && strings.EqualFold(s, "podIP") {
		v.fault("pools of Pod addresses are not supported, because they need a service gateway, which is of AKS alone",
			"allowed are nodeIPConfiguration and nodeIP")
		return
	}
	into(&a.LoadBalancer.PoolType, oneOf(azurePoolTypes()))(v)
}

// azureBalancers reads several load balancers.
func (v value) azureBalancers(a *Azure) {
	s := readSection(v, "load balancer", value.azureBalancer)
	s.leaveOut(otherBalancer)
	a.LoadBalancers = s.objects()
}

func (v value) azureBalancer() (AzureLoadBalancerConfig, bool) {
	b := AzureLoadBalancerConfig{AllowServicePlacement: true}
	f := fields{
		"name":                     into(&b.Name, value.azureName),
		"allowServicePlacement":    into(&b.AllowServicePlacement, value.flag),
		"primaryVMSet":             into(&b.PrimaryVMSet, value.azureName),
		"serviceLabelSelector":     into(&b.ServiceLabelSelector, value.selector),
		"serviceNamespaceSelector": into(&b.ServiceNamespaceSelector, value.selector),
		"nodeSelector":             into(&b.NodeSelector, value.selector),
		"activeServices":           value.azureStatus, "activeNodes": value.azureStatus,
	}
	if v.isMapping() {
		for _, p := range v.pairs() {
			if (value{node: p.val}).null() {
				f[p.key.Value] = value.ignore
			}
		}
	}
	before := v.r.errors
	v.mapping(f)
	v.need("name", b.Name)
	v.need("primaryVMSet", b.PrimaryVMSet)
	return b, v.r.errors == before
}

// azureStatus is a field that the peer keeps its own notes in.
func (v value) azureStatus() {
	v.warn("has no effect, because what is on a load balancer is observed", "remove it")
}

// otherBalancer refuses a load balancer whose name or nodes are taken.
func otherBalancer(e entry[AzureLoadBalancerConfig], before []entry[AzureLoadBalancerConfig]) bool {
	for _, b := range before {
		if strings.EqualFold(b.it.Name, e.it.Name) {
			e.at.child("name").fault(fmt.Sprintf("is the name of the load balancer on line %d", b.at.line()), "give it another name")
			return false
		}
		if strings.EqualFold(b.it.PrimaryVMSet, e.it.PrimaryVMSet) {
			e.at.child("primaryVMSet").fault(fmt.Sprintf("is that of load balancer %q on line %d", b.name, b.at.line()),
				"give each load balancer nodes of its own")
			return false
		}
	}
	return true
}

// finishAzureBalancer judges fields of load balancers against each other.
func (v value) finishAzureBalancer(a *Azure) {
	pools := a.LoadBalancer.PoolType
	if pools == AzureNodeIP && a.VnetName == "" && !v.faulty("vnetName") {
		v.child("loadBalancerBackendPoolConfigurationType").fault("needs the virtual network of the addresses", "set vnetName")
	}
	if len(a.LoadBalancers) > 0 && pools != AzureNodeIP && !v.faulty("loadBalancerBackendPoolConfigurationType") {
		v.child("multipleStandardLoadBalancerConfigurations").fault(
			"several load balancers need pools of addresses, because Azure allows an interface at one public and one internal load balancer only",
			"set loadBalancerBackendPoolConfigurationType: nodeIP")
	}
}

// CheckCluster is an error when there are several load balancers and none is
// named like the cluster, which the peer requires.
func (a *Azure) CheckCluster(name string) error {
	if len(a.LoadBalancers) == 0 {
		return nil
	}
	var names []string
	for i := range a.LoadBalancers {
		if strings.EqualFold(a.LoadBalancers[i].Name, name) {
			return nil
		}
		names = append(names, a.LoadBalancers[i].Name)
	}
	return fmt.Errorf("multipleStandardLoadBalancerConfigurations names %s; one of them must be named like the cluster, %q: add it, or correct --cluster-name",
		list(sorted(names)), name)
}

// azureBalancerYAML is one of several load balancers as it is written.
type azureBalancerYAML struct {
	Name                     string        `yaml:"name"`
	AllowServicePlacement    *bool         `yaml:"allowServicePlacement,omitempty"`
	PrimaryVMSet             string        `yaml:"primaryVMSet"`
	ServiceLabelSelector     *selectorYAML `yaml:"serviceLabelSelector,omitempty"`
	ServiceNamespaceSelector *selectorYAML `yaml:"serviceNamespaceSelector,omitempty"`
	NodeSelector             *selectorYAML `yaml:"nodeSelector,omitempty"`
}

func newAzureBalancersYAML(a *Azure) any {
	var out []azureBalancerYAML
	for i := range a.LoadBalancers {
		b := &a.LoadBalancers[i]
		out = append(out, azureBalancerYAML{
			Name: b.Name, PrimaryVMSet: b.PrimaryVMSet,
			AllowServicePlacement:    unless(b.AllowServicePlacement, true),
			ServiceLabelSelector:     oneSelectorYAML(b.ServiceLabelSelector),
			ServiceNamespaceSelector: oneSelectorYAML(b.ServiceNamespaceSelector),
			NodeSelector:             oneSelectorYAML(b.NodeSelector),
		})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// oneSelectorYAML writes a selector that was read from the format, which can
// hold it.
func oneSelectorYAML(s labels.Selector) *selectorYAML {
	if s == nil {
		return nil
	}
	w := selectorWriter{}
	return &w.write(Selectors{s})[0]
}

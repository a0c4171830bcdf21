// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// keepForms is the input with each Service in the form of what serves it, and why
// those of the batch that ask for another form keep it: another form has another
// address.
func (in Input) keepForms() (Input, map[plan.Key]error) {
	kept := map[plan.Key]error{}
	o := *in.Observed
	o.Services = slices.Clone(o.Services)
	for i, svc := range o.Services {
		o.Services[i], _ = o.servedAs(in.Settings, svc)
	}
	in.Observed, in.Batch.Items = &o, slices.Clone(in.Batch.Items)
	for i := range in.Batch.Items {
		var err error
		if in.Batch.Items[i], err = o.keptForm(in.Settings, in.Batch.Items[i]); err != nil {
			kept[in.Batch.Items[i].Key] = err
		}
	}
	return in, kept
}

// keptForm is the item in the form of what serves its Service, and why it keeps
// that; nil where it asks for no other one, or for none at all. One that another
// controller shall serve is to be removed here.
func (o *Observed) keptForm(s *Settings, it provider.Item) (provider.Item, error) {
	as, err := o.servedAs(s, it.Service)
	if handedOver := s.Claims != AlsoLoadBalancerController; err == nil || it.Want == provider.Remove && !handedOver {
		return it, nil
	}
	it.Service, it.Want = as, provider.Keep
	it.Intent, _ = intent.New(as, intent.AWS, s.Registry)
	return it, err
}

// servedAs is the Service in the form of the load balancer that its status shows,
// and why it keeps that; as it is, and nil, where it asks for no other form.
func (o *Observed) servedAs(s *Settings, svc *v1.Service) (*v1.Service, error) {
	if !lives(svc) || len(svc.Status.LoadBalancer.Ingress) == 0 {
		return svc, nil
	}
	external, claimed := intent.AWSFormOf(svc) == intent.AWSExternal, s.Claims == AlsoLoadBalancerController
	switch {
	case external && !claimed:
		return o.servedByPeers(svc)
	case !external && claimed:
		return o.servedByControllers(s, svc)
	}
	return svc, nil
}

// servedByPeers is servedAs for a Service that became the AWS Load Balancer
// Controller's: clients use what was made for it before, until that controller has
// written another address.
func (o *Observed) servedByPeers(svc *v1.Service) (*v1.Service, error) {
	const sentence = "annotation %s hands the Service over to the AWS Load Balancer Controller, and load balancer %s serves it: it stays until that controller has written another address into the status; %s to keep it"
	base := names.LoadBalancer(svc.UID)
	for _, lb := range o.shownBy(svc) {
		if awssdk.ToString(lb.LoadBalancerName) == base && !names.IsControllers(lb.Tags) {
			return withType(svc, intent.AWSTypeNetwork), refuse(ReasonLoadBalancerTypeChanged, sentence, intent.KeyAWSType, base, "write "+intent.AWSTypeNetwork)
		}
	}
	if c := o.Classics[base]; c != nil && shows(svc, c.DNSName) {
		return withType(svc, ""), refuse(ReasonLoadBalancerTypeChanged, sentence, intent.KeyAWSType, base, "remove the annotation")
	}
	return svc, nil
}

// servedByControllers is servedAs for a Service that was of the external form, and
// has a load balancer of that, or a part of one.
func (o *Observed) servedByControllers(s *Settings, svc *v1.Service) (*v1.Service, error) {
	for _, lb := range o.shownBy(svc) {
		name := awssdk.ToString(lb.LoadBalancerName)
		if name == names.LoadBalancer(svc.UID) {
			continue
		}
		if s.External.OwnsFor(lb.Tags, svc.Namespace, svc.Name) || o.hasPart(s, svc, awssdk.ToString(lb.LoadBalancerArn)) {
			return withType(svc, intent.AWSTypeExternal), refuse(ReasonLoadBalancerTypeChanged,
				"load balancer %s of type %s serves, but annotation %s asks for another one, with which the address would go; write %s, or make a new Service",
				name, intent.AWSTypeExternal, intent.KeyAWSType, intent.AWSTypeExternal)
		}
	}
	return svc, nil
}

// shownBy are the network load balancers that the Service's status shows, most
// often one, by name.
func (o *Observed) shownBy(svc *v1.Service) []*Network {
	var out []*Network
	for _, lb := range o.Networks {
		if shows(svc, lb.DNSName) {
			out = append(out, lb)
		}
	}
	slices.SortFunc(out, func(x, y *Network) int {
		return strings.Compare(awssdk.ToString(x.LoadBalancerName), awssdk.ToString(y.LoadBalancerName))
	})
	return out
}

// hasPart reports whether a target group of the Service is at the load balancer.
func (o *Observed) hasPart(s *Settings, svc *v1.Service, lb string) bool {
	for _, g := range o.TargetGroups {
		if slices.Contains(g.LoadBalancerArns, lb) && s.External.OwnsFor(g.Tags, svc.Namespace, svc.Name) {
			return true
		}
	}
	return false
}

// withType is a copy of the Service with another type; empty for none.
func withType(svc *v1.Service, kind string) *v1.Service {
	out := *svc
	out.Annotations = map[string]string{}
	maps.Copy(out.Annotations, svc.Annotations)
	out.Annotations[intent.KeyAWSType] = kind
	if kind == "" {
		delete(out.Annotations, intent.KeyAWSType)
	}
	return &out
}

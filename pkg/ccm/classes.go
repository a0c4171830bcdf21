// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	servicehelpers "k8s.io/cloud-provider/service/helpers"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
)

const (
	// ClassDomain precedes the provider's name in a loadBalancerClass of ours.
	ClassDomain = "fairlead.dev/"
	// Finalizer holds a classed Service until its load balancer is gone. The
	// stock one may belong to another controller of the cluster, which would
	// remove it from Services of every class.
	Finalizer = engine.FinalizerClassed
	// StockFinalizer is the one that the upstream controller writes.
	StockFinalizer = servicehelpers.LoadBalancerCleanupFinalizer
)

// The marks stand among the finalizers that the upstream controller is shown
// wherever the stock one stands for another. They say which, and come back in
// every patch it makes, so that a patch is translated by what its maker saw.
// They never reach the API server.
const (
	markOurs = "fairlead.dev/shown-for-ours" // the stock one stands for Finalizer
	markBoth = "fairlead.dev/shown-for-both" // it stands for Finalizer and itself
)

// Classes decides which Services are a provider's, and what the upstream
// controller is shown of each. That controller serves every Service without a
// class and none with one, and treats the stock finalizer as its own wherever
// it finds it. All methods are pure; none changes its argument.
type Classes struct {
	// Provider is the name behind ClassDomain.
	Provider string
	// Unclassed says whether Services without a class are ours.
	Unclassed UnclassedPolicy
	// Claimed are classes of another controller whose Services are ours too.
	Claimed []string
	// Elsewhere reports whether a Service without a class asks for another
	// controller all the same; nil: none does.
	Elsewhere func(*v1.Service) bool
}

// NewClasses are the classes of a provider under a cloud-config.
func NewClasses(provider string, unclassed UnclassedPolicy, conf *cloudconfig.Config) Classes {
	c := Classes{Provider: provider, Unclassed: unclassed}
	if conf == nil || conf.AWS == nil {
		return c
	}
	if conf.AWS.Controller.Claim {
		c.Claimed = []string{intent.AWSControllerClass}
		return c
	}
	c.Elsewhere = func(svc *v1.Service) bool { return intent.AWSFormOf(svc) == intent.AWSExternal }
	return c
}

// UnclassedPolicy says who serves Services without a class. The zero value is
// invalid.
type UnclassedPolicy uint8

// The policies.
const (
	ServeUnclassed UnclassedPolicy = iota + 1
	IgnoreUnclassed
)

// Class is the loadBalancerClass of the provider.
func (c Classes) Class() string { return ClassDomain + c.Provider }

// Owns reports whether a Service wants a load balancer, and wants it of us.
func (c Classes) Owns(svc *v1.Service) bool {
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer && svc.DeletionTimestamp == nil && c.ours(svc)
}

func (c Classes) ours(svc *v1.Service) bool {
	if class := svc.Spec.LoadBalancerClass; class != nil {
		return *class == c.Class() || slices.Contains(c.Claimed, *class)
	}
	return c.Unclassed == ServeUnclassed && !c.elsewhere(svc)
}

// elsewhere reports whether the Service is without a class and asks for another
// controller.
func (c Classes) elsewhere(svc *v1.Service) bool {
	return svc.Spec.LoadBalancerClass == nil && c.Elsewhere != nil && c.Elsewhere(svc)
}

// Left reports whether a Service asks for another controller, and what was made
// for it before is to be cleaned up.
func (c Classes) Left(svc *v1.Service) bool {
	return c.Unclassed == ServeUnclassed && c.elsewhere(svc) && has(svc, StockFinalizer)
}

// Show returns the Service as the upstream controller shall see it: one of
// ours without its class and with the stock finalizer in place of ours, and
// any other as one that wants nothing. It is the argument itself where nothing
// differs.
func (c Classes) Show(svc *v1.Service) *v1.Service {
	wants := svc.Spec.Type == v1.ServiceTypeLoadBalancer
	switch {
	case c.Left(svc):
		return c.showLeft(svc)
	case c.servedByAnother(svc), !c.ours(svc) && !has(svc, Finalizer):
		if !wants && !has(svc, StockFinalizer) {
			return svc
		}
		return indifferent(svc)
	case !c.ours(svc):
		// It was of our class, and what we made for it is still there. Its new
		// status is another's.
		shown := indifferent(svc)
		shown.Finalizers = withMark(svc.Finalizers, markOurs, StockFinalizer)
		return shown
	}
	shown := c.showOurs(svc)
	if wants && svc.DeletionTimestamp != nil && !has(shown, StockFinalizer) {
		// Nothing of ours is left, and no finalizer can be added any more: the
		// upstream controller would try for ever.
		return indifferent(svc)
	}
	return shown
}

// showLeft is Show for a Service that was ours, or of the controller before us,
// and asks for another one now: what was made for it is to be cleaned up.
func (c Classes) showLeft(svc *v1.Service) *v1.Service {
	shown := indifferent(svc)
	if has(svc, Finalizer) {
		shown.Finalizers = withMark(svc.Finalizers, markBoth, StockFinalizer)
	} else {
		shown.Finalizers = append(shown.Finalizers, StockFinalizer)
	}
	return shown
}

// showOurs is Show for a Service that is ours by its class, or by having none.
func (c Classes) showOurs(svc *v1.Service) *v1.Service {
	leaving := svc.DeletionTimestamp != nil || svc.Spec.Type != v1.ServiceTypeLoadBalancer
	classed := svc.Spec.LoadBalancerClass != nil
	held := has(svc, Finalizer)
	switch {
	case !classed && !held:
		return svc
	case c.Unclassed == ServeUnclassed && (!classed || leaving && has(svc, StockFinalizer)):
		// Both finalizers were ours: the Service went from one kind to the other
		// while nobody watched. A finalizer that nobody removes would hold it for
		// ever.
		return reveal(svc, withMark(svc.Finalizers, markBoth, StockFinalizer))
	case held:
		return reveal(svc, withMark(svc.Finalizers, markOurs, StockFinalizer))
	default:
		return reveal(svc, withMark(svc.Finalizers, markOurs))
	}
}

func has(svc *v1.Service, finalizer string) bool { return slices.Contains(svc.Finalizers, finalizer) }

// servedByAnother reports whether the class is that of another provider of
// ours, which uses the same finalizer.
func (c Classes) servedByAnother(svc *v1.Service) bool {
	class := svc.Spec.LoadBalancerClass
	return class != nil && *class != c.Class() && strings.HasPrefix(*class, ClassDomain)
}

// reveal copies a Service without its class. Nothing that the copy shares with
// the original is ever written.
func reveal(svc *v1.Service, finalizers []string) *v1.Service {
	shown := *svc
	shown.Spec.LoadBalancerClass = nil
	shown.Finalizers = finalizers
	return &shown
}

// indifferent copies a Service as one that wants no load balancer and has none
// to clean up. Without a status there is none to take away either.
func indifferent(svc *v1.Service) *v1.Service {
	shown := *svc
	if shown.Spec.Type == v1.ServiceTypeLoadBalancer {
		shown.Spec.Type = v1.ServiceTypeClusterIP
	}
	shown.Spec.LoadBalancerClass = nil
	shown.Status.LoadBalancer = v1.LoadBalancerStatus{}
	shown.Finalizers = foreign(svc.Finalizers)
	return &shown
}

// withMark returns the finalizers that are neither ours nor the stock one,
// then the mark and what is shown.
func withMark(finalizers []string, shown ...string) []string {
	return append(foreign(finalizers), shown...)
}

func foreign(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool {
		return f == Finalizer || f == StockFinalizer
	})
}

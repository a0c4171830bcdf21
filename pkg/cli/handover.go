// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/plan"
)

const handoverLong = `Take away what the AWS Load Balancer Controller leaves in the cluster when its
Services are ours: its finalizer on each, without which a deletion would wait for
ever, and its TargetGroupBindings of them. Those of Ingresses, and your own, stay.

The plan is printed, and nothing is done without --yes. Each object is written as it
was read, or not at all. Run it when our controller has taken the Services over.

It is refused while that controller runs, by its lock, since it would put all back,
and takes the targets out of the target group of a binding that is deleted. Where it
goes on for Ingresses, with EnableServiceController=false, give --lbc-keeps-running:
then the bindings stay.

Exits with
  0  when there is nothing to do, or all is done
  1  for an error, and where it is refused
  2  when there is something to do, and --yes is not given
  3  when there is nothing to do, and a Service has to wait`

// bindings are the TargetGroupBindings of the AWS Load Balancer Controller.
func bindings() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "elbv2.k8s.aws", Version: "v1beta1", Resource: "targetgroupbindings"}
}

// taker is the command handover.
type taker struct {
	planner

	client  kubernetes.Interface
	dynamic dynamic.Interface
	now     func() time.Time
	stays   bool
	yes     bool
}

// newHandoverCommand returns the command handover.
func newHandoverCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags, clouds []ccm.Cloud) *cobra.Command {
	h := taker{planner: planner{IOStreams: streams, clouds: clouds, output: "text"}, now: time.Now}
	cmd := &cobra.Command{
		Use:     "handover",
		Short:   "Take away what the AWS Load Balancer Controller leaves on Services",
		Long:    handoverLong,
		Example: "  kubectl fairlead handover --cloud-config=cloud.yaml\n  kubectl fairlead handover --cloud-config=cloud.yaml --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.ToRESTConfig()
			if err != nil {
				return fmt.Errorf("read kubeconfig: %w", err)
			}
			if h.client, _, err = connect(flags); err != nil {
				return err
			}
			if h.dynamic, err = dynamic.NewForConfig(cfg); err != nil {
				return fmt.Errorf("make client: %w", err)
			}
			return h.run(cmd.Context())
		},
	}
	h.from.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&h.unclassed, "serve-unclassed", true, "as the controller's flag of this name")
	cmd.Flags().BoolVar(&h.stays, "lbc-keeps-running", false, "the AWS Load Balancer Controller goes on for Ingresses, with EnableServiceController=false: TargetGroupBindings stay")
	cmd.Flags().BoolVar(&h.yes, "yes", false, "carry the plan out")
	cmd.Flags().StringVarP(&h.output, "output", "o", h.output, "text or json")
	return cmd
}

func (h *taker) run(ctx context.Context) error {
	found, err := h.observe(ctx)
	if err != nil {
		return err
	}
	g, err := found.plan()
	if err != nil {
		return err
	}
	if err := printPlans(h.Out, h.output, []engine.GroupPlan{g}, ""); err != nil {
		return err
	}
	if h.output == "text" {
		fmt.Fprintln(h.Out, "Nothing is written in AWS: what the AWS Load Balancer Controller made there is found by its own tags.")
	}
	if err := h.mayWrite(ctx); err != nil {
		return err
	}
	switch {
	case g.Plan.Empty() && len(g.Refused) > 0:
		return ErrRefused
	case g.Plan.Empty():
		return nil
	case !h.yes:
		return ErrPlanned
	}
	return h.carryOut(ctx, found, g.Plan)
}

// observe reads the Services and the TargetGroupBindings.
func (h *taker) observe(ctx context.Context) (*handover, error) {
	cfg, cloud, err := h.config(ctx, h.client)
	if err != nil {
		return nil, err
	}
	if cfg.AWS == nil || !cfg.AWS.Controller.Claim {
		return nil, errors.New("the cloud-config does not claim the Services of the AWS Load Balancer Controller, so that they stay its own; set aws.loadBalancerController.claim: true to take them over")
	}
	unclassed := ccm.ServeUnclassed
	if !h.unclassed {
		unclassed = ccm.IgnoreUnclassed
	}
	classes := ccm.NewClasses(cloud.Name, unclassed, cfg)
	out := &handover{owns: classes.Owns, state: controllerEnds}
	if h.stays {
		out.state = controllerStays
	}
	services, err := h.client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	for i := range services.Items {
		out.services = append(out.services, &services.Items[i])
	}
	slices.SortFunc(out.services, func(a, b *v1.Service) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	list, err := h.dynamic.Resource(bindings()).List(ctx, metav1.ListOptions{LabelSelector: lbcStackName})
	switch {
	case apierrors.IsNotFound(err): // the cluster knows no such kind
		return out, nil
	case err != nil:
		return nil, fmt.Errorf("list TargetGroupBindings: %w", err)
	}
	for i := range list.Items {
		out.bindings = append(out.bindings, &list.Items[i])
	}
	slices.SortFunc(out.bindings, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
	})
	return out, nil
}

// mayWrite is an error while the AWS Load Balancer Controller runs.
func (h *taker) mayWrite(ctx context.Context) error {
	if h.stays {
		return nil
	}
	named := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", lbcLock).String()}
	leases, err := h.client.CoordinationV1().Leases("").List(ctx, named)
	if err != nil {
		return fmt.Errorf("find out whether the AWS Load Balancer Controller runs: list Leases: %w", err)
	}
	maps, err := h.client.CoreV1().ConfigMaps("").List(ctx, named)
	if err != nil {
		return fmt.Errorf("find out whether the AWS Load Balancer Controller runs: list ConfigMaps: %w", err)
	}
	var locks []lock
	for i := range leases.Items {
		if l := &leases.Items[i]; l.Name == lbcLock {
			locks = append(locks, lockOf(l))
		}
	}
	for i := range maps.Items {
		if cm := &maps.Items[i]; cm.Name == lbcLock {
			locks = append(locks, oldLockOf(cm))
		}
	}
	if why := held(locks, h.now()); why != "" {
		return fmt.Errorf("the AWS Load Balancer Controller runs: %s; stop it and wait a minute, or give --lbc-keeps-running where it goes on for Ingresses with EnableServiceController=false", why)
	}
	return nil
}

// carryOut does the steps. What fails does not hold up the others.
func (h *taker) carryOut(ctx context.Context, found *handover, p plan.Plan) error {
	services, made := map[string]*v1.Service{}, map[string]*unstructured.Unstructured{}
	for _, svc := range found.services {
		services[svc.Namespace+"/"+svc.Name] = svc
	}
	for _, b := range found.bindings {
		made[b.GetNamespace()+"/"+b.GetName()] = b
	}
	var failed []error
	for _, st := range p.Steps {
		var err error
		switch st.Target.Kind {
		case kindService:
			err = h.release(ctx, services[st.Target.Name])
		case kindBinding:
			err = h.remove(ctx, made[st.Target.Name])
		}
		switch {
		case apierrors.IsConflict(err):
			err = fmt.Errorf("it was changed meanwhile; run this again: %w", err)
		case apierrors.IsInternalError(err):
			err = fmt.Errorf("%w; where a webhook of the AWS Load Balancer Controller is named, delete its webhook configurations", err)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", st.Action, st.Target, err))
		}
	}
	if h.output == "text" {
		fmt.Fprintf(h.Out, "Done: %d of %d.\n", len(p.Steps)-len(failed), len(p.Steps))
	}
	return errors.Join(failed...)
}

// release takes the finalizer off a Service, unless it changed since it was
// read.
func (h *taker) release(ctx context.Context, svc *v1.Service) error {
	_, err := h.client.CoreV1().Services(svc.Namespace).Patch(
		ctx, svc.Name, types.MergePatchType, without(svc, lbcFinalizer), metav1.PatchOptions{})
	return err
}

// remove takes the finalizer off a TargetGroupBinding and deletes it, unless it
// changed since it was read.
func (h *taker) remove(ctx context.Context, b *unstructured.Unstructured) error {
	all := h.dynamic.Resource(bindings()).Namespace(b.GetNamespace())
	if slices.Contains(b.GetFinalizers(), lbcBindingFinalizer) {
		var err error
		if b, err = all.Patch(ctx, b.GetName(), types.MergePatchType, without(b, lbcBindingFinalizer), metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	uid, version := b.GetUID(), b.GetResourceVersion()
	err := all.Delete(ctx, b.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
	if apierrors.IsNotFound(err) { // it was being deleted already
		return nil
	}
	return err
}

// without is a patch that takes a finalizer off an object as it was read.
func without(o metav1.Object, finalizer string) []byte {
	rest := slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(f string) bool { return f == finalizer })
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": o.GetResourceVersion(), "finalizers": rest}})
	if err != nil {
		panic("strings have a form in JSON: " + err.Error())
	}
	return patch
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	servicehelper "k8s.io/cloud-provider/service/helpers"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// What the AWS Load Balancer Controller leaves in a cluster: its finalizers, the
// labels of its TargetGroupBindings, and the name of its lock.
const (
	lbcFinalizer        = "service.k8s.aws/resources"
	lbcBindingFinalizer = "elbv2.k8s.aws/resources"
	lbcStackNamespace   = "service.k8s.aws/stack-namespace"
	lbcStackName        = "service.k8s.aws/stack-name"
	lbcLock             = "aws-load-balancer-controller-leader"
	// lbcLockAnnotation holds the lock in a ConfigMap, of versions before 2.5.
	lbcLockAnnotation = "control-plane.alpha.kubernetes.io/leader"
)

// Kinds of the steps of a handover, by namespace/name.
const (
	kindService = "kubernetes/service"
	kindBinding = "kubernetes/targetGroupBinding"
)

// controllerState says what becomes of the AWS Load Balancer Controller. The
// zero value is none.
type controllerState uint8

const (
	controllerEnds controllerState = iota + 1 // it is stopped for good
	// controllerStays: it goes on for Ingresses, without Services. It takes all
	// targets out of the target group of a TargetGroupBinding that is deleted.
	controllerStays
)

// handover is what the AWS Load Balancer Controller leaves in a cluster.
type handover struct {
	services []*v1.Service
	bindings []*unstructured.Unstructured // by namespace and name
	owns     func(*v1.Service) bool
	state    controllerState
}

// plan is what must be rewritten in the cluster. It is pure.
func (h *handover) plan() (engine.GroupPlan, error) {
	g := engine.GroupPlan{Group: "handover", Refused: map[plan.Key]error{}, Notices: map[plan.Key][]provider.Notice{}}
	tell := func(key plan.Key, reason, format string, args ...any) {
		g.Notices[key] = append(g.Notices[key], provider.Notice{Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	claimed := map[plan.Key]bool{}
	var steps []plan.Step
	for _, svc := range h.services {
		key := provider.KeyOf(svc)
		claimed[key] = h.owns(svc) && intent.AWSFormOf(svc) == intent.AWSExternal
		if claimed[key] {
			g.Services++
		}
		if !slices.Contains(svc.Finalizers, lbcFinalizer) {
			continue
		}
		switch waits := len(svc.Status.LoadBalancer.Ingress) > 0 && !heldByUs(svc); {
		case claimed[key] && waits:
			g.Refused[key] = errors.New("our controller has no finalizer on it yet, and without any a deletion would leave the load balancer; start our controller, and run this again")
			continue
		case claimed[key]:
		case svc.DeletionTimestamp != nil && intent.AWSFormOf(svc) == intent.AWSExternal && !waits:
		case svc.DeletionTimestamp != nil:
			g.Refused[key] = fmt.Errorf("it is being deleted, and its load balancer was not removed; let the AWS Load Balancer Controller finish, or delete in AWS what has its tags, and then finalizer %s", lbcFinalizer)
			continue
		default:
			tell(key, "LeftAlone", "it has finalizer %s, and the cloud-config does not claim it: let the AWS Load Balancer Controller remove what it made", lbcFinalizer)
			continue
		}
		steps = append(steps, plan.Step{
			Action: plan.Update, Target: plan.ID{Kind: kindService, Name: key.String()}, Serves: []plan.Key{key},
			Why: []plan.Diff{{Field: "finalizer", Have: lbcFinalizer}},
		})
	}
	for _, b := range h.bindings {
		key := serviceOf(b)
		switch {
		case !claimed[key]:
		case h.state == controllerStays:
			tell(key, "BindingStays", "TargetGroupBinding %s stays, since the AWS Load Balancer Controller takes all targets out when it is deleted; delete it when the Service is gone", b.GetName())
		default:
			steps = append(steps, bindingStep(b, key))
		}
	}
	var err error
	g.Plan, err = plan.New(steps)
	return g, err
}

// heldByUs reports whether a finalizer of ours keeps the Service until its load
// balancer is removed.
func heldByUs(svc *v1.Service) bool {
	return servicehelper.HasLBFinalizer(svc) || slices.Contains(svc.Finalizers, engine.FinalizerClassed)
}

// serviceOf is the Service that a TargetGroupBinding was made for; none for one
// of the user's own, or of an Ingress.
func serviceOf(b *unstructured.Unstructured) plan.Key {
	l := b.GetLabels()
	if l[lbcStackNamespace] != b.GetNamespace() {
		return plan.Key{}
	}
	return plan.Key{Namespace: l[lbcStackNamespace], Name: l[lbcStackName]}
}

func bindingStep(b *unstructured.Unstructured, key plan.Key) plan.Step {
	st := plan.Step{Action: plan.Delete, Target: plan.ID{Kind: kindBinding, Name: b.GetNamespace() + "/" + b.GetName()}, Serves: []plan.Key{key}}
	if slices.Contains(b.GetFinalizers(), lbcBindingFinalizer) {
		st.Why = append(st.Why, plan.Diff{Field: "finalizer", Have: lbcBindingFinalizer})
	}
	if arn, ok, err := unstructured.NestedString(b.Object, "spec", "targetGroupARN"); ok && err == nil {
		st.Why = append(st.Why, plan.Diff{Field: "binding to", Have: arn})
	}
	return st
}

// lock is who holds the lock of the AWS Load Balancer Controller.
type lock struct {
	where, holder string
	until         time.Time // when it is free unless it is renewed
}

// staleLock is how long a lock counts after its last renewal, at least: clocks
// differ, and a stopped process may still be ending.
const staleLock = time.Minute

func newLock(where, holder string, renewed time.Time, seconds int32) lock {
	return lock{where: where, holder: holder, until: renewed.Add(max(staleLock, time.Duration(seconds)*time.Second))}
}

// lockOf is the lock in a Lease.
func lockOf(l *coordinationv1.Lease) lock {
	spec := &l.Spec
	var renewed time.Time
	if spec.RenewTime != nil {
		renewed = spec.RenewTime.Time
	}
	return newLock(fmt.Sprintf("Lease %s/%s", l.Namespace, l.Name), value(spec.HolderIdentity), renewed, value(spec.LeaseDurationSeconds))
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// oldLockOf is the lock in a ConfigMap; free where it cannot be read.
func oldLockOf(cm *v1.ConfigMap) lock {
	var record struct {
		HolderIdentity       string      `json:"holderIdentity"`
		LeaseDurationSeconds int32       `json:"leaseDurationSeconds"`
		RenewTime            metav1.Time `json:"renewTime"`
	}
	if json.Unmarshal([]byte(cm.Annotations[lbcLockAnnotation]), &record) != nil {
		return lock{}
	}
	return newLock(fmt.Sprintf("ConfigMap %s/%s", cm.Namespace, cm.Name), record.HolderIdentity, record.RenewTime.Time, record.LeaseDurationSeconds)
}

// held says that one of the locks is held, and by whom; nothing when none is.
func held(locks []lock, now time.Time) string {
	locks = slices.SortedFunc(slices.Values(locks), func(a, b lock) int { return cmp.Compare(a.where, b.where) })
	for _, l := range locks {
		if l.holder != "" && now.Before(l.until) {
			return fmt.Sprintf("%s is held by %s", l.where, l.holder)
		}
	}
	return ""
}

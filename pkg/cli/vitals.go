// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// speakerAccount is the ServiceAccount of speakers: the one that the manifests'
// policy lets write what is read here, whatever the Pods' labels.
const speakerAccount = "fairlead-speaker"

// pulse is whether a node's speaker runs. A speaker writes no heartbeat, so
// that many nodes cost few writes: what it last said counts until something
// speaks against it. The zero value is none.
type pulse uint8

const (
	noSpeaker pulse = iota + 1 // there is none, or it ended in good order
	running                    // nothing speaks against it
	silent                     // what it last said may be out of date
)

// vitals are the signs of life of a node's speaker.
type vitals struct {
	pulse pulse
	why   string    // it is silent
	last  time.Time // when it last wrote; zero when that is not known
}

// vitals looks for signs of life of a node's speaker.
func (s *site) vitals(n *v1.Node) vitals {
	state, ok := s.states[n.Name]
	if !ok || !state.Stopped.IsZero() {
		return vitals{pulse: noSpeaker}
	}
	v := vitals{pulse: running, last: s.written[n.Name]}
	if v.why = notReady(n); v.why == "" {
		v.why = s.podTrouble(n.Name)
	}
	if v.why != "" {
		v.pulse = silent
	}
	return v
}

// notReady says that the node's kubelet is not well, or nothing.
func notReady(n *v1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type != v1.NodeReady || c.Status == v1.ConditionTrue {
			continue
		}
		return "the node is not Ready since " + stamp(c.LastTransitionTime.Time, time.Time{})
	}
	return ""
}

// podTrouble says why the speaker's Pod on a node does not run, or nothing
// where that is not known: Pods may not be readable, and speakers need not be
// Pods.
func (s *site) podTrouble(node string) string {
	if len(s.pods) == 0 {
		return ""
	}
	why := "no speaker Pod is on the node"
	for _, p := range s.pods {
		if p.Spec.NodeName != node {
			continue
		}
		if why = troubleOf(p); why == "" {
			return ""
		}
	}
	return why
}

// troubleOf says why a Pod does not run. One of which kubelet has not said
// anything yet has none.
func troubleOf(p *v1.Pod) string {
	if p.Status.Phase == v1.PodFailed || p.Status.Phase == v1.PodSucceeded {
		return fmt.Sprintf("speaker Pod %s has ended", p.Name)
	}
	for _, c := range p.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil:
			return fmt.Sprintf("speaker Pod %s does not run: %s", p.Name, c.State.Waiting.Reason)
		case c.State.Terminated != nil:
			return fmt.Sprintf("speaker Pod %s does not run: %s", p.Name, c.State.Terminated.Reason)
		}
	}
	return ""
}

// readSpeakerPods lists the Pods of speakers; none where they may not be read.
func readSpeakerPods(ctx context.Context, client kubernetes.Interface, namespace string) ([]*v1.Pod, error) {
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list the Pods of speakers: %w", err)
	}
	var out []*v1.Pod
	for i := range list.Items {
		if list.Items[i].Spec.ServiceAccountName == speakerAccount {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

// writtenAt is when an object was last written, as the API server noted.
func writtenAt(cm *v1.ConfigMap) time.Time {
	last := cm.CreationTimestamp.Time
	for _, m := range cm.ManagedFields {
		if m.Time != nil && m.Time.After(last) {
			last = m.Time.Time
		}
	}
	return last
}

// phaseText is what a node's speaker says of its phase.
func phaseText(s speaker.NodeState) string {
	if s.Marked {
		return s.Phase + ",marked"
	}
	return s.Phase
}

// The Lease of the controller manager that leads, by the defaults of its flags.
const (
	leaseNamespace = metav1.NamespaceSystem
	leaseName      = "cloud-controller-manager"
	// clockSkew is by how much the clocks of the controller's host and of this
	// one may differ before a lease is called stale by mistake.
	clockSkew = 30 * time.Second
)

// leaseSeen is what was read of the Lease. The zero value is nothing: it may
// not be read.
type leaseSeen struct {
	readable bool
	lease    *coordinationv1.Lease // nil: there is none
}

func readLease(ctx context.Context, client kubernetes.Interface) (leaseSeen, error) {
	lease, err := client.CoordinationV1().Leases(leaseNamespace).Get(ctx, leaseName, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return leaseSeen{}, nil
	case apierrors.IsNotFound(err):
		return leaseSeen{readable: true}, nil
	case err != nil:
		return leaseSeen{}, fmt.Errorf("read Lease %s/%s: %w", leaseNamespace, leaseName, err)
	}
	return leaseSeen{readable: true, lease: lease}, nil
}

// vacant says why no controller leads, or nothing.
func (l leaseSeen) vacant(now time.Time) string {
	const name = "Lease " + leaseNamespace + "/" + leaseName
	if !l.readable {
		return ""
	}
	if l.lease == nil {
		return "there is no " + name
	}
	spec := l.lease.Spec
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" {
		return name + " has no holder"
	}
	if spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		return ""
	}
	end := spec.RenewTime.Add(time.Duration(*spec.LeaseDurationSeconds) * time.Second)
	if now.Sub(end) > clockSkew {
		return fmt.Sprintf("%s was last renewed at %s by %s", name, stamp(spec.RenewTime.Time, time.Time{}), *spec.HolderIdentity)
	}
	return ""
}

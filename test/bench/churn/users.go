// SPDX-License-Identifier: Apache-2.0

package churn

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// userPause is the longest time that a user waits between two deeds.
const userPause = 200 * time.Millisecond

// poolEditEvery is the time between two edits of the pools.
const poolEditEvery = 1500 * time.Millisecond

// Names are the names of all Services that there ever are.
func Names() []string {
	var names []string
	for u := range users {
		for i := range perUser {
			names = append(names, name(u, i))
		}
	}
	return names
}

func name(user, i int) string { return fmt.Sprintf("churn-%02d-%d", user, i) }

// poolVariants are lists of pools that all hold the same addresses: 120 to be
// given to anyone, and 14 to those who name the pool.
func poolVariants() []string {
	const named = "  - {name: named, addresses: [198.18.4.0/28], autoAssign: false}\n"
	return []string{
		"  - {name: public, addresses: [198.18.0.0-198.18.0.119, \"2001:db8:18::/118\"]}\n" + named,
		"  - {name: public, addresses: [198.18.0.0-198.18.0.59, 198.18.0.60-198.18.0.119, \"2001:db8:18::/118\"], priority: 7}\n" + named,
		"  - {name: first, addresses: [198.18.0.0-198.18.0.63, \"2001:db8:18::/119\"]}\n" +
			"  - {name: second, addresses: [198.18.0.64-198.18.0.119, \"2001:db8:18::200/119\"], priority: 1}\n" + named,
		named + "  - {name: renamed, addresses: [\"2001:db8:18::/118\", 198.18.0.0-198.18.0.119]}\n" +
			"  - {name: unused, addresses: [198.19.0.0/24], autoAssign: false}\n",
	}
}

// Pools is the first list of pools below metal.pools.
func Pools() string { return poolVariants()[0] }

// editPools edits the pools until ctx ends.
func (r *run) editPools(ctx context.Context) error {
	variants := poolVariants()
	for n := 1; ; n++ {
		if !sleep(ctx, poolEditEvery) {
			return nil
		}
		if err := r.Configure(variants[n%len(variants)]); err != nil {
			return err
		}
		r.count(&r.report.PoolEdits)
	}
}

// user creates, edits and deletes Services until ctx ends.
func (r *run) user(ctx context.Context, id int) error {
	rng := rand.New(rand.NewPCG(r.Seed, uint64(id)))
	for sleep(ctx, time.Duration(rng.Int64N(int64(userPause)))) {
		err := r.deed(ctx, rng, id, rng.IntN(perUser))
		// Deeds go at random to Services that are there or not, or no balancers.
		expected := apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err)
		if err != nil && !expected && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// deed does one thing to one Service.
func (r *run) deed(ctx context.Context, rng *rand.Rand, id, i int) error {
	services, which := r.Client.CoreV1().Services(Namespace), name(id, i)
	patch := func(p map[string]any) error {
		raw, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if _, err = services.Patch(ctx, which, types.MergePatchType, raw, metav1.PatchOptions{}); err == nil {
			r.count(&r.report.Edits)
		}
		return err
	}
	switch dice := rng.IntN(100); {
	case dice < 45:
		_, err := services.Create(ctx, newService(rng, id, i), metav1.CreateOptions{})
		if err == nil {
			r.count(&r.report.Creates)
		}
		return err
	case dice < 70:
		err := services.Delete(ctx, which, metav1.DeleteOptions{})
		if err == nil {
			r.count(&r.report.Deletes)
		}
		return err
	case dice < 80:
		return patch(map[string]any{"metadata": map[string]any{"labels": map[string]any{"edited": fmt.Sprint(rng.Uint32())}}})
	case dice < 86:
		return patch(map[string]any{"spec": map[string]any{"externalTrafficPolicy": anyOf(rng, "Cluster", "Local")}})
	case dice < 92:
		// An address of its own, so that it is free unless others took it unasked.
		wish := fmt.Sprintf("198.18.0.%d", 1+(id*perUser+i)%119)
		return patch(map[string]any{"metadata": map[string]any{"annotations": map[string]any{askAnnotation: wish}}})
	case dice < 96:
		return patch(map[string]any{"spec": map[string]any{"type": "ClusterIP", "externalTrafficPolicy": nil}})
	default:
		return patch(map[string]any{"spec": map[string]any{"type": "LoadBalancer"}})
	}
}

func anyOf(rng *rand.Rand, values ...string) string { return values[rng.IntN(len(values))] }

// newService is a Service of one of several kinds. The first two of a user may
// share an address.
func newService(rng *rand.Rand, id, i int) *v1.Service {
	s := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name(id, i), Annotations: map[string]string{}},
		Spec: v1.ServiceSpec{
			Type:  v1.ServiceTypeLoadBalancer,
			Ports: []v1.ServicePort{{Name: "http", Port: int32(8000 + i), Protocol: v1.ProtocolTCP}},
		},
	}
	policy := v1.IPFamilyPolicySingleStack
	switch {
	case i < 2:
		s.Annotations[sharingAnnotation] = fmt.Sprintf("user-%d", id)
	case i == 2:
		s.Annotations["fairlead.dev/address-pool"] = "named"
	case rng.IntN(4) == 0:
		policy = v1.IPFamilyPolicyPreferDualStack
	}
	s.Spec.IPFamilyPolicy = &policy
	return s
}

func (r *run) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

// sleep reports whether ctx still goes on after a while.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

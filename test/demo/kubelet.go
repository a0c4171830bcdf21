// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/util/workqueue"
)

// kubelet stands for the scheduler and the kubelets of all nodes: it gives each
// Pod a node, says that it runs, and lets it go when it is deleted. No
// container is ever started.
type kubelet struct {
	client kubernetes.Interface
	tell   *teller
	queue  workqueue.TypedRateLimitingInterface[string]
	// placed counts the Pods of each app that were given a node. The next one
	// goes to the next node.
	placed map[string]int
	ips    int
}

func newKubelet(client kubernetes.Interface, t *teller) *kubelet {
	return &kubelet{
		client: client, tell: t, placed: map[string]int{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
}

// look asks for a look at a Pod.
func (k *kubelet) look(name string) { k.queue.Add(name) }

// run works until ctx ends.
func (k *kubelet) run(ctx context.Context, pods corelisters.PodNamespaceLister) {
	defer context.AfterFunc(ctx, k.queue.ShutDown)()
	for {
		name, quit := k.queue.Get()
		if quit {
			return
		}
		if err := k.sync(ctx, pods, name); err != nil && ctx.Err() == nil {
			k.queue.AddRateLimited(name)
		} else {
			k.queue.Forget(name)
		}
		k.queue.Done(name)
	}
}

// sync takes a Pod one step on. The change that follows brings the next.
func (k *kubelet) sync(ctx context.Context, pods corelisters.PodNamespaceLister, name string) error {
	pod, err := pods.Get(name)
	if err != nil {
		return nil //nolint:nilerr // it is gone
	}
	api := k.client.CoreV1().Pods(pod.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		err = api.Delete(ctx, name, *metav1.NewDeleteOptions(0))
	case pod.Spec.NodeName == "":
		err = k.place(ctx, pod)
	case pod.Status.Phase != v1.PodRunning:
		err = k.begin(ctx, pod)
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// place gives the Pod a node, as the scheduler does.
func (k *kubelet) place(ctx context.Context, pod *v1.Pod) error {
	app := pod.Labels["app"] + pod.Labels["app.kubernetes.io/name"]
	node := nodes()[k.placed[app]%len(nodes())]
	err := k.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		Target:     v1.ObjectReference{Kind: "Node", Name: node.name},
	}, metav1.CreateOptions{})
	if err == nil {
		k.placed[app]++
	}
	return err
}

// begin says that the Pod runs, as its kubelet does.
func (k *kubelet) begin(ctx context.Context, pod *v1.Pod) error {
	k.ips++
	ip := fmt.Sprintf("10.244.0.%d", k.ips)
	ready := []v1.PodCondition{
		{Type: v1.ContainersReady, Status: v1.ConditionTrue},
		{Type: v1.PodReady, Status: v1.ConditionTrue},
	}
	patch, err := json.Marshal(map[string]any{"status": v1.PodStatus{
		Phase: v1.PodRunning, PodIP: ip, PodIPs: []v1.PodIP{{IP: ip}}, Conditions: ready,
	}})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

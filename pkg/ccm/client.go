// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"bytes"
	"context"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// shownClient is the client that upstream controllers write with. It turns
// patches of shown Services into patches of the real ones, and leaves out
// patches of nodes that change nothing.
type shownClient struct {
	kubernetes.Interface
}

func (c shownClient) CoreV1() corev1.CoreV1Interface {
	return shownCore{c.Interface.CoreV1()}
}

type shownCore struct {
	corev1.CoreV1Interface
}

func (c shownCore) Services(namespace string) corev1.ServiceInterface {
	return shownServices{c.CoreV1Interface.Services(namespace)}
}

func (c shownCore) Nodes() corev1.NodeInterface {
	return shownNodes{c.CoreV1Interface.Nodes()}
}

type shownServices struct {
	corev1.ServiceInterface
}

// Patch translates the finalizers in a strategic merge patch.
//
//nolint:revive // argument-limit: the signature is upstream's
func (s shownServices) Patch(
	ctx context.Context, name string, pt types.PatchType, patch []byte, opts metav1.PatchOptions, sub ...string,
) (*v1.Service, error) {
	if pt == types.StrategicMergePatchType {
		var err error
		if patch, err = translatePatch(patch); err != nil {
			return nil, err
		}
	}
	return s.ServiceInterface.Patch(ctx, name, pt, patch, opts, sub...)
}

type shownNodes struct {
	corev1.NodeInterface
}

// Patch leaves out a patch that changes nothing: the upstream node controller
// makes one for every dual-stack node in every period, since it compares
// addresses by a map from their type. The answer is then a node with no more
// than its name; that controller does not read it.
//
//nolint:revive // argument-limit: the signature is upstream's
func (n shownNodes) Patch(
	ctx context.Context, name string, pt types.PatchType, patch []byte, opts metav1.PatchOptions, sub ...string,
) (*v1.Node, error) {
	if bytes.Equal(bytes.TrimSpace(patch), []byte("{}")) {
		return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil
	}
	return n.NodeInterface.Patch(ctx, name, pt, patch, opts, sub...)
}

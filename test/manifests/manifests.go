// SPDX-License-Identifier: Apache-2.0

// Package manifests renders the kustomizations in manifests/ and applies them
// to a test control plane, so that tests and the demo run with the very roles
// and policies that are shipped.
package manifests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
	"github.com/fairlead/fairlead/test/inputs"
)

// fieldManager owns the fields that Apply sets.
const fieldManager = "fairlead-manifests"

// bufferSize is how far ahead the decoder looks for the kind of document.
const bufferSize = 4096

// Render returns the objects of a kustomization of the checkout, such as
// manifests/overlays/metal, as `kubectl kustomize` puts them in order. It needs
// the kubectl that `make controlplane` builds.
func Render(ctx context.Context, dir string) ([]*unstructured.Unstructured, error) {
	root, err := binaries.Root()
	if err != nil {
		return nil, err
	}
	if err := inputs.Note("manifests"); err != nil {
		return nil, err
	}
	kubectl := filepath.Join(binaries.Dir(root), "kubectl")
	cmd := exec.CommandContext(ctx, kubectl, "kustomize", filepath.Join(root, dir))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("render %s: %w\n%s", dir, err, stderr.String())
	}
	return Decode(bytes.NewReader(out))
}

// Decode reads the objects of a stream of YAML documents.
func Decode(r io.Reader) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(r, bufferSize)
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("read a manifest: %w", err)
		case len(obj.Object) > 0:
			out = append(out, obj)
		}
	}
}

// Client applies objects to a cluster.
type Client struct {
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

// NewClient returns a client with the rights of cfg.
func NewClient(cfg *rest.Config) (*Client, error) {
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{
		dynamic: dyn,
		mapper:  restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco)),
	}, nil
}

// Apply makes the objects what they say, one after the other, in the namespace
// default where they name none. Unknown fields are refused.
func (c *Client) Apply(ctx context.Context, objs ...*unstructured.Unstructured) error {
	for _, obj := range objs {
		if err := c.apply(ctx, obj); err != nil {
			return fmt.Errorf("apply %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return nil
}

func (c *Client) apply(ctx context.Context, obj *unstructured.Unstructured) error {
	kind := obj.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var api dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := obj.GetNamespace()
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		api = c.dynamic.Resource(mapping.Resource).Namespace(namespace)
	}
	data, err := obj.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	_, err = api.Patch(ctx, obj.GetName(), "application/apply-patch+yaml", data, metav1.PatchOptions{
		FieldManager: fieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

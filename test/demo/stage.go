// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
	"github.com/fairlead/fairlead/test/manifests"
)

// objects are the acceptance Services of bare metal and what the demo adds to
// them.
//
//go:embed objects
var objects embed.FS

// policyEvery is how often the admission policy is asked until it is in force:
// the API server begins with a policy some time after it was made.
const policyEvery = 100 * time.Millisecond

// startControlPlane starts etcd and the API server, with the controllers that o
// names.
func (d *stage) startControlPlane(ctx context.Context, o controlplane.Options) error {
	o.Dir, o.LogDir, o.BinDir = filepath.Join(d.dir, "controlplane"), d.logs(), binaries.Dir(d.root)
	cp, err := controlplane.Start(ctx, o)
	if err != nil {
		return err
	}
	d.undo(cp.Stop)
	d.cp = cp
	if err := d.connect(); err != nil {
		return err
	}
	version, err := d.admin.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	d.tell.line(kindDone, "Kubernetes %s serves at %s", version.GitVersion, d.cp.URL())
	return nil
}

// install applies what `kubectl apply -k` would, without what kubelets would
// have to start, and with our cloud-config where there is a ConfigMap for it.
func (d *stage) install(ctx context.Context, overlay, config string) error {
	all, err := manifests.Render(ctx, overlay)
	if err != nil {
		return err
	}
	workloads := []string{"Deployment", "DaemonSet", "PodDisruptionBudget"}
	objs := slices.DeleteFunc(all, func(o *unstructured.Unstructured) bool { return slices.Contains(workloads, o.GetKind()) })
	for _, o := range objs {
		if o.GetKind() == "ConfigMap" {
			if err := unstructured.SetNestedField(o.Object, config, "data", configKey); err != nil {
				return err
			}
		}
	}
	if err := d.apply.Apply(ctx, objs...); err != nil {
		return err
	}
	d.tell.line(kindDone, "%d objects applied", len(objs))
	return nil
}

// applyFile applies the objects of an embedded file that are of one kind.
func (d *stage) applyFile(ctx context.Context, file, kind string) error {
	return d.applyFrom(ctx, objects, file, kind)
}

func (d *stage) applyFrom(ctx context.Context, files fs.FS, file, kind string) error {
	data, err := files.Open("objects/" + file)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	objs, err := manifests.Decode(data)
	if err != nil {
		return err
	}
	return d.apply.Apply(ctx, slices.DeleteFunc(objs, func(o *unstructured.Unstructured) bool { return o.GetKind() != kind })...)
}

// createNode makes a Node as its kubelet does.
func (d *stage) createNode(ctx context.Context, want *v1.Node) error {
	api := d.admin.CoreV1().Nodes()
	node, err := api.Create(ctx, want, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create %s: %w", want.Name, err)
	}
	node.Status.Addresses, node.Status.Conditions = want.Status.Addresses, want.Status.Conditions
	if _, err := api.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write the status of %s: %w", want.Name, err)
	}
	return nil
}

// refusedByServer tells what the API server says to an annotation of a Service
// that cannot be.
func (d *stage) refusedByServer(ctx context.Context, service, key, value string) error {
	api := d.admin.CoreV1().Services(metav1.NamespaceDefault)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value)
	dryRun := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
	err := wait.PollUntilContextTimeout(ctx, policyEvery, limit, true, func(ctx context.Context) (bool, error) {
		_, err := api.Patch(ctx, service, types.MergePatchType, patch, dryRun)
		if err == nil {
			return false, nil // the policy is not in force yet
		}
		_, sentence, refused := strings.Cut(err.Error(), "denied request: ")
		if !refused {
			return false, err
		}
		d.tell.line(kindDone, "refused: %s", sentence)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the admission policy to refuse annotation %s: %w", key, err)
	}
	return nil
}

// stays tells how to use a demo that stays.
func (d *stage) stays(lines ...string) {
	kubeconfig, err := d.cp.Kubeconfig(controlplane.Admin)
	if err != nil {
		d.tell.paragraph("", "The kubeconfig cannot be written: "+err.Error())
		return
	}
	d.tell.paragraph("It stays", "Everything goes on in the background. To look around:")
	d.tell.plain("",
		"export KUBECONFIG="+kubeconfig,
		"export PATH="+d.bin+":"+filepath.Join(d.bin, "controlplane")+":$PATH",
		"")
	d.tell.plain(lines...)
	d.tell.plain("tail -f "+d.story(), "", "make demo-down              # ends it")
}

func (d *stage) awaitAddress(ctx context.Context, service, address string) error {
	return d.board.await(ctx, "the address "+address+" of "+service, func() bool {
		return slices.Equal(addresses(d.board.services[service]), []string{address})
	})
}

func (d *stage) awaitEvent(ctx context.Context, service, reason string) error {
	return d.board.await(ctx, "the event "+reason+" of "+service, func() bool { return d.board.events[service+" "+reason] })
}

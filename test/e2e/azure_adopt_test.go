// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// peerState is what cloud-provider-azure left: its configuration, the cluster
// and the cloud.
type peerState struct {
	CloudConfig map[string]any
	Nodes       []*v1.Node
	Services    []*v1.Service
	State       struct{ Resources []json.RawMessage }
}

// adopts starts the controller manager where cloud-provider-azure was, at the
// start and when every Service is looked at again: nothing is written.
func adopts(t *testing.T, bin, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "cloud", "azure", "testdata", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var left peerState
	if err := json.Unmarshal(text, &left); err != nil {
		t.Fatal(err)
	}
	delete(left.CloudConfig, "aadClientId") // the stand has a managed identity
	cloud := azuresim.New(azuresim.Options{})
	s := newAzureStand(t, bin, cloud, left.CloudConfig)
	for _, n := range left.Nodes {
		s.createNode(t, n)
	}
	resources := s.recreate(t, left)
	if err := cloud.Seed(resources); err != nil {
		t.Fatal(err)
	}
	before, err := azuresim.Normalise(cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	says(t, s.run(t, 0, "plan", "--all"), "Nothing to do.")

	manager := s.manage(t)
	s.awaitEnsured(t, left.Services, 1)
	for _, svc := range left.Services {
		patch := []byte(`{"metadata":{"annotations":{"example.com/looked-at":"again"}}}`)
		if _, err := s.admin.CoreV1().Services(svc.Namespace).Patch(t.Context(), svc.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitEnsured(t, left.Services, 2)
	manager.stop(t)

	if writes := s.writes(); len(writes) > 0 {
		t.Errorf("written to Azure: %q", writes)
	}
	if after, err := azuresim.Normalise(cloud.State()); err != nil || after != before {
		t.Errorf("Azure went from\n%s\nto\n%s (%v)", before, after, err)
	}
	for _, svc := range left.Services {
		tree := s.run(t, 0, "explain", "-n", svc.Namespace, svc.Name)
		says(t, tree, "[Succeeded, in step]", "node "+left.Nodes[0].Name+" ", "[in the pool]", "EnsuredLoadBalancer")
		silentAbout(t, tree, "not there yet", "differs", "to be taken away", "to be written", "not in the pool", "may be its")
		now, err := s.admin.CoreV1().Services(svc.Namespace).Get(t.Context(), svc.Name, metav1.GetOptions{})
		if err != nil || fmt.Sprint(addressesOf(now)) != fmt.Sprint(addressesOf(svc)) {
			t.Errorf("%s had the addresses %q and has %q (%v)", svc.Name, addressesOf(svc), addressesOf(now), err)
		}
	}
}

// recreate makes the Services again, with their status, and returns the cloud's
// resources with the names that belong to their new UIDs: an API server gives
// UIDs itself.
func (s *azureStand) recreate(t *testing.T, left peerState) []json.RawMessage {
	t.Helper()
	var pairs []string
	for _, want := range left.Services {
		svc := want.DeepCopy()
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "", nil
		api := s.admin.CoreV1().Services(svc.Namespace)
		made, err := api.Create(t.Context(), svc, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Status = want.Status
		if _, err := api.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, baseName(want.UID), baseName(made.UID))
	}
	rename := strings.NewReplacer(pairs...)
	out := make([]json.RawMessage, len(left.State.Resources))
	for i, doc := range left.State.Resources {
		out[i] = json.RawMessage(rename.Replace(string(bytes.TrimSpace(doc))))
	}
	return out
}

// baseName begins the names of what belongs to a Service: the peer's rule.
func baseName(uid types.UID) string {
	return ("a" + strings.ReplaceAll(string(uid), "-", ""))[:32]
}

func addressesOf(svc *v1.Service) []string {
	var out []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, in.IP)
	}
	return out
}

// awaitEnsured waits until each of the Services was told that often that its
// load balancer is ensured.
func (s *azureStand) awaitEnsured(t *testing.T, services []*v1.Service, times int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("every Service was ensured %d times", times), func(ctx context.Context) error {
		events, err := s.admin.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		told := map[string]int32{}
		for i := range events.Items {
			if e := &events.Items[i]; e.Reason == "EnsuredLoadBalancer" {
				told[e.InvolvedObject.Name] += max(e.Count, 1)
			}
		}
		for _, svc := range services {
			if told[svc.Name] < times {
				return fmt.Errorf("%s was ensured %d times", svc.Name, told[svc.Name])
			}
		}
		return nil
	})
}

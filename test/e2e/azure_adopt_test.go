// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	rename := s.recreate(t, left.Services)
	resources := make([]json.RawMessage, len(left.State.Resources))
	for i, doc := range left.State.Resources {
		resources[i] = json.RawMessage(rename.Replace(string(bytes.TrimSpace(doc))))
	}
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
	s.touch(t, left.Services)
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

// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
	"github.com/fairlead/fairlead/test/controlplane"
)

// azureStand is a stand before a simulated Azure.
type azureStand struct {
	*stand

	cloud *azuresim.Cloud
}

// newAzureStand starts a control plane before a cloud. What azure.json says
// beside the site of votefront are more keys.
func newAzureStand(t *testing.T, bin string, cloud *azuresim.Cloud, more map[string]any) *azureStand {
	t.Helper()
	s := &azureStand{cloud: cloud, stand: newStand(t, bin, azure, controlplane.Options{
		ServiceCIDRs: []netip.Prefix{votefront.ServiceRange(), netip.MustParsePrefix("fd00:10::/112")},
	})}
	server := cloud.Start()
	t.Cleanup(server.Close)
	text, err := votefront.CloudConfig(server.URL, more)
	if err != nil {
		t.Fatal(err)
	}
	s.configure(t, "azure.json", text, votefront.Environment(server.URL))
	return s
}

// manage starts the controller manager in the peer's place.
func (s *azureStand) manage(t *testing.T, args ...string) *program {
	t.Helper()
	return s.stand.manage(t, append([]string{"--cloud-provider=azure", "--cluster-name=" + votefront.ClusterName}, args...)...)
}

// writes are the writes to the cloud, in words.
func (s *azureStand) writes() []string {
	var out []string
	for _, c := range s.cloud.Calls() {
		if c.Kind == azuresim.Write {
			out = append(out, fmt.Sprintf("%s %s: %d", c.Method, c.ID, c.Status))
		}
	}
	return out
}

// balancing is the load balancing in the cloud, to be compared.
func (s *azureStand) balancing(t *testing.T) string {
	t.Helper()
	text, err := votefront.Balancing(s.cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// apply applies an acceptance Service, changed by edit unless that is nil.
func (s *azureStand) apply(t *testing.T, file string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	s.applyFrom(t, votefront.Objects, file, edit)
}

// awaitAddress waits until the status of a Service has just that address.
func (s *azureStand) awaitAddress(t *testing.T, service string, is func(string) bool) string {
	t.Helper()
	var address string
	s.awaitStatus(t, service, func(svc *v1.Service) bool {
		in := svc.Status.LoadBalancer.Ingress
		if len(in) != 1 || !is(in[0].IP) {
			return false
		}
		address = in[0].IP
		return in[0].IPMode != nil && *in[0].IPMode == v1.LoadBalancerIPModeVIP
	})
	return address
}

// document decodes a resource of the cloud.
func (s *azureStand) document(t *testing.T, typeName, name string, into any) {
	t.Helper()
	raw, ok := s.cloud.Get(s.cloud.ID(votefront.Group, typeName, name))
	if !ok {
		t.Fatalf("%s %s is not there", typeName, name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

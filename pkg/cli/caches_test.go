// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"os"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// TestPlanEndsWhereARightLacks: it tells which, and does not wait for it.
func TestPlanEndsWhereARightLacks(t *testing.T) {
	ownCredentials(t)
	for resource, kind := range map[string]string{
		"services": "Services", "nodes": "Nodes", "namespaces": "Namespaces", "endpointslices": "EndpointSlices",
	} {
		for verb, refusal := range map[string]*apierrors.StatusError{
			"cannot list " + resource: apierrors.NewForbidden(v1.Resource(resource), "", errors.New("cannot list "+resource)),
			"Unauthorized":            apierrors.NewUnauthorized("Unauthorized"),
		} {
			t.Run(resource+" "+verb, func(t *testing.T) {
				_, file, client := awsSite(t, []string{"site", "nlb-default"})
				text, err := os.ReadFile(file)
				if err == nil {
					err = os.WriteFile(file, append(text, "  loadBalancerController: {claim: true}\n"...), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				client.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, refusal
				})
				_, err = planned(t, client, func(p *planner) { p.from.file, p.cluster = file, "rig" })
				if err == nil || !strings.HasPrefix(err.Error(), "list "+kind+": ") || !strings.Contains(err.Error(), verb) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

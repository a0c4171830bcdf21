// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

// Whose a public IP is, no annotation says, and what the peer wrote of it stays.
func TestTagsOfOwnershipAreNobodysToSet(t *testing.T) {
	s := empty(t)
	s.settings.SystemTags = []string{"aks-"} // other tags go
	s.settings.Tags = map[string]string{"service": "shop/api", "cost": "42"}
	web := with(dual(newService("web", "TCP:80")),
		"azure-pip-tags", "team=web,k8s-azure-service=shop/api,K8S-Azure-Cluster-Name=other,k8s-azure-owner-service=shop/web")
	batch := s.batch(item(web, provider.Serve, provider.Edit))
	r := s.compute(t, batch)
	var said []string
	for _, n := range r.Notices[keyOf("web")] {
		if !n.Warning || n.Reason != azure.ReasonUnsupported {
			t.Errorf("notice %+v", n)
		}
		said = append(said, n.Message)
	}
	if diff := cmp.Diff([]string{
		"annotation service.beta.kubernetes.io/azure-pip-tags has tag K8S-Azure-Cluster-Name, which tells whose a public IP is; it is left out: take it away",
		"annotation service.beta.kubernetes.io/azure-pip-tags has tag k8s-azure-owner-service, which tells whose a public IP is; it is left out: take it away",
		"annotation service.beta.kubernetes.io/azure-pip-tags has tag k8s-azure-service, which tells whose a public IP is; it is left out: take it away",
	}, said); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	s.apply(t, batch, nil)
	want := map[string]string{"k8s-azure-service": "shop/web", "k8s-azure-cluster-name": "kubernetes", "team": "web", "cost": "42", "service": "shop/api"}
	id := s.pipID("kubernetes-a1111111122223333444400000000075")
	var p struct{ Tags map[string]string }
	if err := json.Unmarshal(s.doc(id), &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}

	// The peer did set those that it reads no more.
	doc := strings.Replace(string(s.doc(id)), `"tags":{`, `"tags":{"k8s-azure-owner-service":"shop/web",`, 1)
	s.observed.Learn(id, json.RawMessage(doc))
	s.publish(t, web)
	s.settled(t, s.all(provider.Resync))
	s.settled(t, s.all(provider.Repair))
}

// What legacy tags tell of public IPs they tell of nothing else.
func TestLegacyTagsOfLoadBalancersArePlain(t *testing.T) {
	s := empty(t)
	s.settings.SystemTags = []string{"aks-"}
	s.settings.Tags = map[string]string{"service": "shop"}
	batch := s.batch(item(newService("web", "TCP:80"), provider.Serve, provider.Edit))
	s.apply(t, batch, nil)
	for _, tags := range []map[string]string{{"service": "platform"}, {"team": "web"}} {
		s.settings.Tags = tags
		s.apply(t, batch, nil)
		var lb struct{ Tags map[string]string }
		if err := json.Unmarshal(s.observed.LoadBalancers[0], &lb); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tags, lb.Tags); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
}

func TestTagsOfSeveralServicesAndOtherClusters(t *testing.T) {
	s := empty(t)
	svc := newService("web", "TCP:80")
	s.add(t, json.RawMessage(`{"name":"theirs","id":"`+s.pipID("theirs")+`","sku":{"name":"Standard"},"tags":{"k8s-azure-service":"shop/web","k8s-azure-cluster-name":"another"},"properties":{"ipAddress":"20.70.0.1","publicIPAddressVersion":"IPv4"}}`))
	batch := s.batch(item(svc, provider.Serve, provider.Edit))
	s.apply(t, batch, nil)
	if s.doc(s.pipID("theirs")) == nil {
		t.Error("the address of another cluster was deleted")
	}
	batch.Items[0].Want = provider.Remove
	if got := targets(t, s.apply(t, batch, nil))["azure/publicIP"]; len(got) != 1 {
		t.Errorf("deleted %v", got)
	}
}

// Other IP tags need another address: it goes in one pass, which asks for the
// next, and comes in that.
func TestOtherIPTagsMakeAnotherAddress(t *testing.T) {
	s := empty(t)
	web := dual(newService("web", "TCP:80"))
	s.apply(t, s.batch(item(web, provider.Serve, provider.Edit)), nil)
	tagged := with(web, "azure-pip-ip-tags", "RoutingPreference=Internet")
	batch := s.batch(item(tagged, provider.Serve, provider.Edit))
	for _, cause := range []provider.Cause{provider.Resync, provider.Drift} {
		if r := s.compute(t, s.batch(item(tagged, provider.Serve, cause))); len(r.Steps) != 0 || len(r.Refused) != 1 {
			t.Errorf("an address is lost without an edit:\n%s", text(t, r))
		}
	}
	r := s.apply(t, batch, nil)
	golden(t, "other IP tags", text(t, r))
	if err := r.Refused[batch.Items[0].Key]; plan.KindOf(err) != plan.Conflict {
		t.Errorf("got %v, want to look again", err)
	}
	r = s.apply(t, batch, nil)
	if len(r.Refused) != 0 || len(r.Places[batch.Items[0].Key]) != 2 || !strings.Contains(string(s.doc(s.pipID("kubernetes-a1111111122223333444400000000075"))), "RoutingPreference") {
		t.Errorf("got\n%s", text(t, r))
	}
	s.settled(t, batch)
}

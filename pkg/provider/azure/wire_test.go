// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// wired is a site whose cloud is a simulated one behind the real client.
type wired struct {
	*site
	cloud  *azuresim.Cloud
	client *arm.Client
}

func wire(t *testing.T, tt story) *wired {
	t.Helper()
	cloud := azuresim.New(azuresim.Options{MaxRetryAfter: time.Nanosecond})
	server := cloud.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := arm.New(arm.Options{
		Cloud:     arm.Cloud{Endpoint: server.URL, Audience: "https://management.azure.com/", Authority: "https://login.example.com/"},
		Identity:  arm.Identity{Credential: token("a-long-enough-token")},
		Times:     arm.Times{Poll: time.Millisecond, Retry: time.Millisecond},
		Transport: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	place, err := cloud.NewSite(azuresim.SiteOptions{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.240.0.0/20"), netip.MustParsePrefix("fd00:240::/64")}})
	if err != nil {
		t.Fatal(err)
	}
	cloud.AddGroup("network")
	place.UniformScaleSet("nodepool1", 3)
	w := &wired{site: empty(t), cloud: cloud, client: client}
	w.settings.Subscription, w.settings.NodeSubscription = azuresim.DefaultSubscription, azuresim.DefaultSubscription
	w.settings.Members = azure.ByAddress
	w.observed.SecurityGroup = nil
	if tt.prepare != nil {
		tt.prepare(t, w.site)
	}
	for _, docs := range w.observed.PublicIPs {
		for _, doc := range docs {
			var h struct{ ID string }
			if err := json.Unmarshal(doc, &h); err != nil {
				t.Fatal(err)
			}
			if _, err := cloud.Make(h.ID, doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	if subnet, ok := w.observed.Subnets["apps"]; ok {
		if err := cloud.Edit(w.settings.NetworkID(), func(doc map[string]any) {
			var apps any
			if json.Unmarshal(subnet, &apps) == nil {
				properties, _ := doc["properties"].(map[string]any)
				subnets, _ := properties["subnets"].([]any)
				properties["subnets"] = append(subnets, apps)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.look(t)
	return w
}

// look reads all that there is.
func (w *wired) look(t *testing.T) {
	t.Helper()
	w.observed.LoadBalancers, w.observed.PrivateLinks = nil, nil
	w.observed.PublicIPs = map[string][]json.RawMessage{"rig": nil, "network": nil}
	for _, doc := range w.cloud.State() {
		w.add(t, doc)
	}
}

// do does the plan of the batch over the wire.
func (w *wired) do(t *testing.T, batch provider.Batch) {
	t.Helper()
	in := azure.Input{Settings: &w.settings, Observed: &w.observed, Batch: batch}
	first := w.compute(t, batch)
	p, err := plan.New(first.Steps)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range p.Steps {
		wr := first.Writes[st.Target]
		for _, id := range wr.First {
			if err := w.client.Delete(t.Context(), id, ""); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
		}
		if wr.Refresh {
			doc, err := w.client.Get(t.Context(), wr.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			w.observed.Learn(wr.ID, doc)
		}
		if st.Shared || wr.Refresh {
			again, err := first.Rewrite(in, st.Target)
			if err != nil || again.Empty() || len(again.Left) > 0 {
				t.Fatalf("%s: %v, %v", st.Target, again.Left, err)
			}
			wr = again.Write
		}
		if wr.Delete {
			if err := w.client.Delete(t.Context(), wr.ID, wr.Etag); err != nil {
				t.Fatalf("delete %s: %v", st.Target, err)
			}
			w.observed.Learn(wr.ID, nil)
			continue
		}
		answer, err := w.client.Put(t.Context(), wr.ID, wr.Document, wr.Etag)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", st.Action, st.Target, err, wr.Document)
		}
		w.observed.Learn(wr.ID, answer)
	}
}

// firstAddress is the public IP that the stories share.
func (w *wired) firstAddress(services []*v1.Service) []*v1.Service {
	var out []*v1.Service
	for _, svc := range services {
		svc = svc.DeepCopy()
		const key = prefix + "azure-load-balancer-ipv4"
		if svc.Annotations[key] == "20.60.0.101" {
			for _, doc := range w.observed.PublicIPs["rig"] {
				var p struct{ Properties struct{ IPAddress string } }
				if json.Unmarshal(doc, &p) == nil {
					svc.Annotations[key] = p.Properties.IPAddress
				}
			}
		}
		out = append(out, svc)
	}
	return out
}

// What the plans write is what Azure takes, and then nothing is left to do.
func TestStoriesOverTheWire(t *testing.T) {
	all := stories()
	delete(all, "two with one public IP of the user") // which has an address of the test's own
	delete(all, "a prefix and a subnet of one's own") // the simulator has no prefixes
	for name, tt := range all {
		t.Run(name, func(t *testing.T) {
			w := wire(t, tt)
			for i, services := range tt.turns {
				services = w.firstAddress(services)
				batch := w.turn(services)
				w.do(t, batch)
				w.look(t)
				w.settled(t, batch)
				w.publish(t, services...)
				w.settled(t, w.all(provider.Resync))
				if t.Failed() {
					t.Fatalf("turn %d", i)
				}
			}
		})
	}
}

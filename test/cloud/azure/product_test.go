// SPDX-License-Identifier: Apache-2.0

package azuresim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// fixedToken is a credential that needs nobody.
type fixedToken struct{}

func (fixedToken) GetToken(_ context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "any", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// product is the provider's own client of a cloud that has a site.
func product(t *testing.T, o azuresim.Options) (*azuresim.Cloud, *arm.Client) {
	t.Helper()
	c := azuresim.New(o)
	if _, err := c.NewSite(azuresim.SiteOptions{}); err != nil {
		t.Fatal(err)
	}
	server := c.Start()
	t.Cleanup(server.Close)
	client, err := arm.New(arm.Options{
		Cloud:    arm.Cloud{Endpoint: server.URL, Audience: "https://management.azure.com", Authority: "https://login.microsoftonline.com/"},
		Identity: arm.Identity{Credential: fixedToken{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, client
}

const standardIP = `{"location":"eastus","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static"}}`

func TestTheProductsClientWorksAgainstIt(t *testing.T) {
	c, client := product(t, azuresim.Options{
		PageSize: 2, MaxRetryAfter: time.Second, Latency: azuresim.Latencies{Write: 50 * time.Millisecond},
	})
	ip := c.ID("rig", azuresim.PublicIPs, "ip0")
	doc, err := client.Put(t.Context(), ip, json.RawMessage(standardIP), "")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Etag       string
		Properties struct{ IPAddress string }
	}
	if err := json.Unmarshal(doc, &got); err != nil || got.Properties.IPAddress != "20.50.0.2" {
		t.Fatalf("%s, %v", doc, err)
	}
	for i := range 4 {
		if _, err := c.Make(c.ID("rig", azuresim.PublicIPs, fmt.Sprintf("ip%d", i+1)), json.RawMessage(standardIP)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := client.List(t.Context(), c.ID("rig", azuresim.PublicIPs), nil)
	if err != nil || len(list) != 5 {
		t.Errorf("%d public IPs, %v", len(list), err)
	}
	if _, err := client.Put(t.Context(), ip, doc, got.Etag); err != nil {
		t.Error(err)
	}
	if _, err := client.Put(t.Context(), ip, doc, got.Etag); plan.KindOf(err) != plan.Conflict {
		t.Errorf("a stale etag: %v", err)
	}
	if err := client.Delete(t.Context(), ip, ""); err != nil {
		t.Error(err)
	}
	n := c.Counts()
	if n.Writes[azuresim.PublicIPs] != 4 || n.Reads[azuresim.PublicIPs] != 1 || n.Pages != 2 || n.FinalGets != 2 {
		t.Errorf("counts %+v", n)
	}
}

func TestTheProductsClientSurvivesEveryFault(t *testing.T) {
	faults := map[string]struct {
		fault *azuresim.Fault
		want  plan.Kind // 0: the write is known to be done
	}{
		"412":         {azuresim.Refuse(http.StatusPreconditionFailed, "PreconditionFailed", 0), plan.Conflict},
		"409":         {azuresim.Refuse(http.StatusConflict, "AnotherOperationInProgress", 0), plan.Conflict},
		"429":         {azuresim.Refuse(http.StatusTooManyRequests, "TooManyRequests", 30*time.Second), plan.Throttled},
		"403":         {azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0), plan.Denied},
		"500":         {azuresim.Refuse(http.StatusInternalServerError, "InternalServerError", 0), 0},
		"lost before": {azuresim.Drop(azuresim.Before), 0},
		"lost after":  {azuresim.Drop(azuresim.After), 0},
	}
	for name, tc := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client := product(t, azuresim.Options{})
			c.SetFault(func(call azuresim.Call) *azuresim.Fault {
				if call.Write == 1 {
					return tc.fault
				}
				return nil
			})
			ip := c.ID("rig", azuresim.PublicIPs, "ip")
			_, err := client.Put(t.Context(), ip, json.RawMessage(standardIP), "")
			if tc.want == 0 && err != nil || tc.want != 0 && (err == nil || plan.KindOf(err) != tc.want) {
				t.Errorf("%v, want kind %d", err, tc.want)
			}
			if _, ok := c.Get(ip); ok != (tc.want == 0) {
				t.Errorf("the public IP is there: %v", ok)
			}
		})
	}
}

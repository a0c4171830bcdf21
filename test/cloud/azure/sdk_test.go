// SPDX-License-Identifier: Apache-2.0

package azuresim_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// sdkClient is the SDK's client with a managed identity, pointed at a server.
func sdkClient(t *testing.T, url string) *arm.Client {
	t.Helper()
	t.Setenv("IDENTITY_ENDPOINT", url+"/token")
	t.Setenv("IDENTITY_HEADER", "x")
	credential, err := azidentity.NewManagedIdentityCredential(nil)
	if err != nil {
		t.Fatal(err)
	}
	public := cloud.Configuration{
		ActiveDirectoryAuthorityHost: "https://login.microsoftonline.com/",
		Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
			cloud.ResourceManager: {Endpoint: url, Audience: "https://management.azure.com"},
		},
	}
	client, err := arm.NewClient("test", "v1.0.0", credential, &arm.ClientOptions{
		ClientOptions: policy.ClientOptions{
			Cloud: public, InsecureAllowCredentialWithHTTP: true, Retry: policy.RetryOptions{MaxRetries: -1},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// begin sends a write and polls it to its end; it returns the last body.
func begin(t *testing.T, client *arm.Client, method, id, body string) (string, error) {
	t.Helper()
	request, err := runtime.NewRequest(t.Context(), method, runtime.JoinPaths(client.Endpoint(), id))
	if err != nil {
		t.Fatal(err)
	}
	request.Raw().URL.RawQuery = "api-version=2025-05-01"
	if body != "" {
		if err := runtime.MarshalAsJSON(request, jsonText(body)); err != nil {
			t.Fatal(err)
		}
	}
	response, err := client.Pipeline().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		return "", runtime.NewResponseError(response)
	}
	poller, err := runtime.NewPoller[map[string]any](response, client.Pipeline(), nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := poller.PollUntilDone(t.Context(), nil)
	if err != nil {
		return "", err
	}
	properties, _ := result["properties"].(map[string]any)
	address, _ := properties["ipAddress"].(string)
	return address, nil
}

type jsonText string

func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }

func TestTheSDKWorksAgainstIt(t *testing.T) {
	c := azuresim.New(azuresim.Options{Groups: []string{"rig"}})
	server := c.Start()
	defer server.Close()
	client := sdkClient(t, server.URL)
	c.SetLatency(azuresim.Latencies{Write: 100 * time.Millisecond})
	id := c.ID("rig", azuresim.PublicIPs, "ip")
	const body = `{"location":"eastus","sku":{"name":"Standard"},"properties":{"publicIPAllocationMethod":"Static"}}`
	address, err := begin(t, client, http.MethodPut, id, body)
	if err != nil || address != "20.50.0.2" {
		t.Fatalf("address %q, %v", address, err)
	}
	n := c.Counts()
	if n.Writes[azuresim.PublicIPs] != 1 || n.Polls != 1 || n.FinalGets != 1 || sim.Total(n.Reads) != 0 {
		t.Errorf("counts %+v", n)
	}
	var refused *azcore.ResponseError
	_, err = begin(t, client, http.MethodPut, id, strings.Replace(body, "eastus", "westus", 1))
	if !errors.As(err, &refused) || refused.ErrorCode != "InvalidResourceLocation" {
		t.Errorf("a move: %v", err)
	}
	c.SetLatency(azuresim.Latencies{})
	if _, err := begin(t, client, http.MethodDelete, id, ""); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, ok := c.Get(id); ok {
		t.Error("it is still there")
	}
}

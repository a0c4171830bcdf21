// SPDX-License-Identifier: Apache-2.0

// Package rig puts the Azure provider and the engine over a simulated cloud.
package rig

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// fixedToken is a credential that needs nobody.
type fixedToken struct{}

func (fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "any", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// Client is the provider's client for a cloud that listens there.
func Client(url string) (*arm.Client, error) {
	return arm.New(arm.Options{
		Cloud:    arm.Cloud{Endpoint: url, Audience: "https://management.azure.com", Authority: "https://login.microsoftonline.com/"},
		Identity: arm.Identity{Credential: fixedToken{}},
	})
}

// ConfigText is a cloud-config for a site of the simulated cloud, as azure.json
// has it, with more keys if there are any.
func ConfigText(site *azuresim.Site, more string) string {
	return fmt.Sprintf(`{
		"tenantId": "22222222-2222-2222-2222-222222222222", "subscriptionId": %q, "resourceGroup": %q, "location": "eastus",
		"vnetName": "%[2]s-vnet", "subnetName": "%[2]s-subnet", "securityGroupName": "%[2]s-nsg", "routeTableName": "%[2]s-routes",
		"useManagedIdentityExtension": true, "loadBalancerSku": "standard"%s}`, azuresim.DefaultSubscription, site.Group, more)
}

// Endpoint is the key that says where the cloud is, for ConfigText.
func Endpoint(url string) string { return fmt.Sprintf(`, "resourceManagerEndpoint": %q`, url) }

// Config is the cloud-config that the text says.
func Config(text string) (*cloudconfig.Azure, error) {
	conf, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if conf.Azure == nil {
		return nil, fmt.Errorf("the cloud-config has no section azure: %v", conf.Faults)
	}
	return conf.Azure, nil
}

// Name is that of the clusters in the flag --cluster-name.
const Name = "kubernetes"

// Start starts a controller. It must be closed.
func Start(ctx context.Context, c *harness.Cluster, client *arm.Client, conf *cloudconfig.Azure) *harness.Controller {
	return harness.Start(ctx, c, Name, azure.New(azure.Options{
		Client: client, Config: conf, Cluster: Name,
		Services: corelisters.NewServiceLister(c.Services), Nodes: corelisters.NewNodeLister(c.Nodes),
	}))
}

// Starter starts controllers by a cloud-config that says where the cloud is.
func Starter(ctx context.Context, c *harness.Cluster, config string) (*harness.Controller, error) {
	conf, err := Config(config)
	if err != nil {
		return nil, err
	}
	client, err := Client(conf.ResourceManagerEndpoint)
	if err != nil {
		return nil, err
	}
	return Start(ctx, c, client, conf), nil
}

// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	armpolicy "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm/policy"
	armruntime "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"k8s.io/component-base/version"
	"k8s.io/utils/clock"
)

// Identity is who speaks.
type Identity struct {
	Credential azcore.TokenCredential
	// AuxiliaryTenants are those of further tokens in each request, for writes
	// that refer to resources of other tenants.
	AuxiliaryTenants []string
}

// Options are what a Client is made of.
type Options struct {
	Cloud    Cloud
	Identity Identity
	// Network is who speaks in NetworkSubscription, where that is of another
	// tenant; the zero value for the same.
	Network             Identity
	NetworkSubscription string
	UserAgent           string // fairlead and its version unless set
	Times               Times
	Clock               clock.Clock        // the real one unless set
	Transport           policy.Transporter // the SDK's unless set
}

// New makes a client. It asks nothing of the cloud.
func New(o Options) (*Client, error) {
	endpoint, err := url.Parse(o.Cloud.Endpoint)
	if err != nil || endpoint.Host == "" || (endpoint.Scheme != "https" && endpoint.Scheme != "http") {
		return nil, fmt.Errorf("resource manager endpoint %q is not a URL of https or http; correct resourceManagerEndpoint in the cloud-config", o.Cloud.Endpoint)
	}
	if o.Identity.Credential == nil {
		return nil, errors.New("no credential is given")
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	c := &Client{
		endpoint: endpoint, types: typesByKey(), clock: o.Clock,
		gates: newGates(o.Clock), pace: newPace(o.Clock), times: o.Times.withDefaults(),
	}
	if c.own, err = o.pipeline(o.Identity, endpoint.Scheme); err != nil {
		return nil, err
	}
	if o.Network.Credential != nil && o.NetworkSubscription != "" {
		c.networkSubscription = strings.ToLower(o.NetworkSubscription)
		if c.network, err = o.pipeline(o.Network, endpoint.Scheme); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// pipeline is azcore's for Azure Resource Manager. Resource providers are never
// registered behind the user's back.
func (o *Options) pipeline(who Identity, scheme string) (runtime.Pipeline, error) {
	agent := o.UserAgent
	if agent == "" {
		agent = "fairlead/" + version.Get().GitVersion
	}
	p, err := armruntime.NewPipeline("fairlead", version.Get().GitVersion, who.Credential, runtime.PipelineOptions{
		PerCall: []policy.Policy{userAgent(agent)},
	}, &armpolicy.ClientOptions{
		ClientOptions: policy.ClientOptions{
			Cloud:            o.Cloud.configuration(),
			Telemetry:        policy.TelemetryOptions{Disabled: true},
			Transport:        o.Transport,
			PerRetryPolicies: []policy.Policy{counter{}},
			// Only an endpoint that the configuration gives by name is http.
			InsecureAllowCredentialWithHTTP: scheme == "http",
		},
		AuxiliaryTenants:      who.AuxiliaryTenants,
		DisableRPRegistration: true,
	})
	if err != nil {
		return p, fmt.Errorf("set up calls to Azure: %w", err)
	}
	return p, nil
}

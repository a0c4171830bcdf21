// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// Cloud is where a cloud answers.
type Cloud struct {
	Endpoint  string // of Azure Resource Manager
	Audience  string // that tokens are for
	Authority string // that gives tokens
	// Private is true for a cloud that Microsoft's own authority does not know.
	Private bool
}

func (c Cloud) configuration() cloud.Configuration {
	return cloud.Configuration{
		ActiveDirectoryAuthorityHost: c.Authority,
		Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
			cloud.ResourceManager: {Endpoint: c.Endpoint, Audience: c.Audience},
		},
	}
}

// scope is what tokens are asked for.
func (c Cloud) scope() string { return c.Audience + "/.default" }

// knownCloud is a cloud of Microsoft's: the SDK's configuration of it.
func knownCloud(name cloudconfig.AzureCloud) Cloud {
	c := cloud.AzurePublic
	switch name {
	case cloudconfig.AzureChina:
		c = cloud.AzureChina
	case cloudconfig.AzureUSGovernment:
		c = cloud.AzureGovernment
	case cloudconfig.AzurePublic, cloudconfig.AzureStack, cloudconfig.AzureOther:
	}
	manager := c.Services[cloud.ResourceManager]
	return Cloud{Endpoint: manager.Endpoint, Audience: manager.Audience, Authority: c.ActiveDirectoryAuthorityHost}
}

// environmentFile is the variable that names a file with the endpoints of an
// Azure Stack, as the peer and the Azure tools read it.
const environmentFile = "AZURE_ENVIRONMENT_FILEPATH"

// findCloud finds out where the configured cloud answers. An endpoint of the
// configuration is asked for the others once.
func findCloud(ctx context.Context, conf *cloudconfig.Azure, env func(string) string, client policy.Transporter) (Cloud, error) {
	switch {
	case conf.ResourceManagerEndpoint != "":
		c, err := discover(ctx, conf, client)
		if err != nil {
			return c, fmt.Errorf("resourceManagerEndpoint %s: %w", conf.ResourceManagerEndpoint, err)
		}
		return c, nil
	case conf.Cloud == cloudconfig.AzureStack:
		file := env(environmentFile)
		if file == "" {
			return Cloud{}, fmt.Errorf("cloud %s: its endpoints are not known; set resourceManagerEndpoint, or the variable %s", conf.CloudName, environmentFile)
		}
		return cloudOfFile(file)
	case conf.Cloud == cloudconfig.AzureOther:
		return Cloud{}, fmt.Errorf("cloud %s: its endpoints are not known; set resourceManagerEndpoint", conf.CloudName)
	}
	return knownCloud(conf.Cloud), nil
}

// endpoints is an entry of the answer of /metadata/endpoints.
type endpoints struct {
	Name            string `json:"name"`
	ResourceManager string `json:"resourceManager"`
	Authentication  struct {
		Audiences     []string `json:"audiences"`
		LoginEndpoint string   `json:"loginEndpoint"`
	} `json:"authentication"`
}

const (
	metadataPath    = "/metadata/endpoints?api-version=2019-05-01"
	metadataTimeout = 30 * time.Second
	metadataLimit   = 1 << 20 // bytes; the real ones have a few thousand
)

// errNoAnswer is for an endpoint that cannot be reached.
var errNoAnswer = errors.New("does not answer")

func discover(ctx context.Context, conf *cloudconfig.Azure, client policy.Transporter) (Cloud, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	base := strings.TrimSuffix(conf.ResourceManagerEndpoint, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+metadataPath, nil)
	if err != nil {
		return Cloud{}, fmt.Errorf("is not a URL: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Cloud{}, fmt.Errorf("%w: %s", errNoAnswer, wire.Innermost(err))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, metadataLimit))
	switch {
	case err != nil:
		return Cloud{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	case resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests:
		return Cloud{}, fmt.Errorf("%w: %s", errNoAnswer, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return Cloud{}, fmt.Errorf("%s answers %s; it must be of Azure Resource Manager", metadataPath, resp.Status)
	}
	var all []endpoints
	if err := json.Unmarshal(data, &all); err != nil {
		return Cloud{}, fmt.Errorf("%s answers no list of clouds; it must be of Azure Resource Manager", metadataPath)
	}
	return choose(all, conf.CloudName, base)
}

// choose takes the cloud of that name, or the first one when none is named.
func choose(all []endpoints, name, base string) (Cloud, error) {
	names := make([]string, 0, len(all))
	for _, e := range all {
		names = append(names, e.Name)
		if name != "" && !strings.EqualFold(e.Name, name) {
			continue
		}
		if len(e.Authentication.Audiences) == 0 {
			return Cloud{}, fmt.Errorf("cloud %s has no audience for tokens there", e.Name)
		}
		c := Cloud{
			Endpoint: e.ResourceManager, Audience: e.Authentication.Audiences[0],
			Authority: e.Authentication.LoginEndpoint, Private: true,
		}
		if c.Endpoint == "" {
			c.Endpoint = base
		}
		if strings.HasPrefix(c.Endpoint, "http:") && !strings.HasPrefix(base, "http:") {
			return Cloud{}, fmt.Errorf("cloud %s is at %s there, where tokens would be sent in the clear; name an endpoint of https", e.Name, c.Endpoint)
		}
		for _, known := range []cloudconfig.AzureCloud{cloudconfig.AzurePublic, cloudconfig.AzureChina, cloudconfig.AzureUSGovernment} {
			if strings.TrimSuffix(knownCloud(known).Authority, "/") == strings.TrimSuffix(c.Authority, "/") {
				c.Private = false
			}
		}
		return c, nil
	}
	if len(all) == 0 {
		return Cloud{}, errors.New("it knows no cloud; set resourceManagerEndpoint to the address of an Azure Resource Manager")
	}
	return Cloud{}, fmt.Errorf("it knows no cloud %q, but %s; set cloud to that", name, strings.Join(names, ", "))
}

// cloudOfFile reads the endpoints of an Azure Stack.
func cloudOfFile(file string) (Cloud, error) {
	data, err := os.ReadFile(file) //nolint:gosec // G304: the file is the user's choice.
	if err != nil {
		return Cloud{}, fmt.Errorf("%s: %w", environmentFile, err)
	}
	var e struct {
		ResourceManagerEndpoint string `json:"resourceManagerEndpoint"`
		TokenAudience           string `json:"tokenAudience"`
		ActiveDirectoryEndpoint string `json:"activeDirectoryEndpoint"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return Cloud{}, fmt.Errorf("%s %s: %w", environmentFile, file, err)
	}
	if e.ResourceManagerEndpoint == "" || e.TokenAudience == "" {
		return Cloud{}, fmt.Errorf("%s %s: resourceManagerEndpoint or tokenAudience is missing; add it", environmentFile, file)
	}
	return Cloud{
		Endpoint: strings.TrimSuffix(e.ResourceManagerEndpoint, "/"), Audience: e.TokenAudience,
		Authority: e.ActiveDirectoryEndpoint, Private: true,
	}, nil
}

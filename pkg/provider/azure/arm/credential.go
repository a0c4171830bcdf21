// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// Auth says where credentials come from. The zero value is none.
type Auth uint8

// The sources.
const (
	AuthConfig Auth = iota + 1 // the cloud-config and the environment
	AuthCLI                    // the Azure CLI, which its user has signed in with
)

// String is the source as --auth writes it.
func (a Auth) String() string {
	switch a {
	case AuthConfig:
		return "config"
	case AuthCLI:
		return "cli"
	}
	return "none"
}

// ParseAuth reads the value of --auth.
func ParseAuth(s string) (Auth, error) {
	for _, a := range []Auth{AuthConfig, AuthCLI} {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, fmt.Errorf("--auth %q: must be config or cli", s)
}

// account is what an identity is proved with.
type account struct {
	what   string // in sentences
	tenant string
	// credential makes one for a tenant that may also be asked for tokens of the
	// tenant also, unless that is empty.
	credential func(tenant, also string) (azcore.TokenCredential, error)
	oneTenant  bool // it cannot be of another tenant
	local      bool // a program of this machine gives the tokens
}

// The variables that workload identity sets in a Pod, and that count over the
// cloud-config, as with the peer.
const (
	envTenant       = "AZURE_TENANT_ID"
	envClient       = "AZURE_CLIENT_ID"
	envTokenFile    = "AZURE_FEDERATED_TOKEN_FILE"
	envClientSecret = "AZURE_CLIENT_SECRET" //nolint:gosec // G101: the name of a variable.
)

// accounts makes credentials of a configuration.
type accounts struct {
	conf    *cloudconfig.Azure
	cloud   Cloud
	options policy.ClientOptions
	tenant  string
	client  string
	secret  cloudconfig.Secret
	token   string // file
}

func newAccounts(conf *cloudconfig.Azure, c Cloud, s Setup) *accounts {
	over := func(name, otherwise string) string {
		if v := s.Env(name); v != "" {
			return v
		}
		return otherwise
	}
	a := &accounts{
		conf: conf, cloud: c,
		options: policy.ClientOptions{Cloud: c.configuration(), Transport: s.Transport},
		tenant:  over(envTenant, conf.TenantID),
		client:  over(envClient, conf.Auth.ClientID),
		secret:  cloudconfig.Secret(over(envClientSecret, conf.Auth.ClientSecret.Reveal())),
		token:   over(envTokenFile, conf.Auth.FederatedTokenFile),
	}
	if conf.Auth.ADFS {
		a.tenant = "adfs" // the SDK's name for it
	}
	return a
}

// choose takes the first account that is configured, in the peer's order.
func (a *accounts) choose(s Setup) (account, error) {
	auth := a.conf.Auth
	switch {
	case s.Auth == AuthCLI:
		return a.cli(), nil
	case auth.WorkloadIdentity || s.Env(envTokenFile) != "":
		return a.workload()
	case auth.ManagedIdentity:
		return a.managed(), nil
	case a.secret != "":
		return a.clientSecret()
	case auth.ClientCertPath != "":
		return a.certificate()
	}
	return account{}, errors.New("no credentials for Azure are configured; set useFederatedWorkloadIdentityExtension, useManagedIdentityExtension, aadClientSecret or aadClientCertPath")
}

// allow is the list of further tenants.
func allow(also string) []string {
	if also == "" {
		return nil
	}
	return []string{also}
}

func (a *accounts) cli() account {
	return account{
		what: "the account of the Azure CLI", tenant: a.tenant, local: true,
		credential: func(tenant, also string) (azcore.TokenCredential, error) {
			return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{
				TenantID: tenant, AdditionallyAllowedTenants: allow(also),
			})
		},
	}
}

// named is an account of an application, which needs a tenant and a client ID.
func (a *accounts) named(what string) (account, error) {
	if a.tenant == "" {
		return account{}, fmt.Errorf("%s needs a tenant; set tenantId, or the variable %s", what, envTenant)
	}
	if a.client == "" {
		return account{}, fmt.Errorf("%s needs a client ID; set aadClientId, or the variable %s", what, envClient)
	}
	return account{what: fmt.Sprintf("%s of client %s in tenant %s", what, a.client, a.tenant), tenant: a.tenant}, nil
}

func (a *accounts) workload() (account, error) {
	out, err := a.named("workload identity")
	if err != nil {
		return out, err
	}
	if a.token == "" {
		return out, fmt.Errorf("workload identity needs a token; set aadFederatedTokenFile, or the variable %s", envTokenFile)
	}
	out.credential = func(tenant, also string) (azcore.TokenCredential, error) {
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: a.options, ClientID: a.client, TenantID: tenant, TokenFilePath: a.token,
			AdditionallyAllowedTenants: allow(also), DisableInstanceDiscovery: a.cloud.Private,
		})
	}
	return out, nil
}

func (a *accounts) managed() account {
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: a.options}
	what := "the managed identity of the machine"
	if id := a.conf.Auth.UserAssignedIdentityID; id != "" {
		what = "managed identity " + id
		options.ID = azidentity.ClientID(id)
		if strings.Contains(strings.ToLower(id), "/subscriptions/") {
			options.ID = azidentity.ResourceID(id)
		}
	}
	return account{
		what: what, tenant: a.tenant, oneTenant: true,
		credential: func(string, string) (azcore.TokenCredential, error) {
			return azidentity.NewManagedIdentityCredential(options)
		},
	}
}

func (a *accounts) clientSecret() (account, error) {
	out, err := a.named("client secret")
	if err != nil {
		return out, err
	}
	out.credential = func(tenant, also string) (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(tenant, a.client, a.secret.Reveal(), &azidentity.ClientSecretCredentialOptions{
			ClientOptions: a.options, AdditionallyAllowedTenants: allow(also), DisableInstanceDiscovery: a.cloud.Private,
		})
	}
	return out, nil
}

func (a *accounts) certificate() (account, error) {
	out, err := a.named("client certificate")
	if err != nil {
		return out, err
	}
	file := a.conf.Auth.ClientCertPath
	data, err := os.ReadFile(file) //nolint:gosec // G304: the file is the user's choice.
	if err != nil {
		return out, fmt.Errorf("aadClientCertPath: %w", err)
	}
	var password []byte
	if p := a.conf.Auth.ClientCertPassword.Reveal(); p != "" {
		password = []byte(p)
	}
	certs, key, err := azidentity.ParseCertificates(data, password)
	if err != nil {
		return out, fmt.Errorf("aadClientCertPath %s cannot be read as a certificate with its key, in PEM or PFX: %w; correct it or aadClientCertPassword", file, err)
	}
	out.credential = func(tenant, also string) (azcore.TokenCredential, error) {
		return azidentity.NewClientCertificateCredential(tenant, a.client, certs, key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions: a.options, AdditionallyAllowedTenants: allow(also), DisableInstanceDiscovery: a.cloud.Private,
			SendCertificateChain: true, // for those that are accepted by subject name and issuer
		})
	}
	return out, nil
}

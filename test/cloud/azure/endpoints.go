// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// tokenLife is how long a token is said to be good.
const tokenLife = 24 * time.Hour

// endpoint answers what is asked without a token: where things are, and the
// token itself. It returns nil for every other path.
func (c *Cloud) endpoint(r *http.Request) *answer {
	switch strings.TrimRight(r.URL.Path, "/") {
	case "/metadata/endpoints":
		return metadata(r)
	case "/token", "/msi/token", "/metadata/identity/oauth2/token":
		return token(r)
	default:
		return nil
	}
}

// metadata answers as the endpoint discovery of Azure Stack does, which is what
// a custom resourceManagerEndpoint is asked for.
func metadata(r *http.Request) *answer {
	version := r.URL.Query().Get("api-version")
	if version == "" {
		return bad("MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.").answer()
	}
	base := baseURL(r)
	auth := object{
		"audiences":        []any{"https://management.core.windows.net/", "https://management.azure.com/"},
		"loginEndpoint":    "https://login.microsoftonline.com/",
		"identityProvider": "AAD", "tenant": "common",
	}
	public := object{
		"name": "AzurePublicCloud", "resourceManager": base, "authentication": auth,
		"suffixes": object{"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
	}
	return jsonAnswer(http.StatusOK, []any{public})
}

// token answers as the managed identity's endpoint of App Service does.
func token(r *http.Request) *answer {
	if err := r.ParseForm(); err != nil || r.Form.Get("resource") == "" {
		return jsonAnswer(http.StatusBadRequest, object{
			"error": "invalid_request", "error_description": "Required query variable 'resource' is missing",
		})
	}
	if r.Header.Get("X-IDENTITY-HEADER") == "" && r.Header.Get("Metadata") == "" && r.Header.Get("Secret") == "" {
		return jsonAnswer(http.StatusBadRequest, object{
			"error": "invalid_request", "error_description": "Required metadata header not specified",
		})
	}
	expires := time.Now().Add(tokenLife).Unix()
	return jsonAnswer(http.StatusOK, object{
		"access_token": "simulated", "token_type": "Bearer", "resource": r.Form.Get("resource"),
		"expires_on": strconv.FormatInt(expires, 10), "expires_in": strconv.Itoa(int(tokenLife.Seconds())),
	})
}

// serveProvider answers the GET of a resource provider. What matters in it is
// which zones a location has.
func (c *Cloud) serveProvider(r *http.Request, id resourceID) *answer {
	if r.Method != http.MethodGet {
		return refuse(http.StatusMethodNotAllowed, "HttpMethodNotAllowed",
			"The HTTP method '%s' is not supported at scope '%s'.", r.Method, id.path).answer()
	}
	if given := r.URL.Query().Get("api-version"); given != providersVersion {
		return bad("InvalidApiVersionParameter",
			"The api-version '%s' is invalid. The supported versions are '%s'.", given, providersVersion).answer()
	}
	sim.Pause(r.Context(), c.latencies().Read)
	types := []any{}
	for _, k := range append(networkKinds(), computeKinds()...) {
		namespace, name, _ := strings.Cut(k.name, "/")
		if !strings.EqualFold(namespace, id.namespace) {
			continue
		}
		types = append(types, object{
			"resourceType": name, "locations": []any{"East US", "West Europe", "North Central US"},
			"apiVersions": []any{networkVersion, computeVersion},
			"zoneMappings": []any{
				object{"location": "East US", "zones": []any{"3", "2", "1"}},
				object{"location": "West Europe", "zones": []any{"3", "2", "1"}},
			},
		})
	}
	if len(types) == 0 {
		return refuse(http.StatusNotFound, "InvalidResourceNamespace",
			"The resource namespace '%s' is invalid.", id.namespace).answer()
	}
	return jsonAnswer(http.StatusOK, object{
		"id": id.path, "namespace": id.namespace, "registrationState": "Registered", "resourceTypes": types,
	})
}

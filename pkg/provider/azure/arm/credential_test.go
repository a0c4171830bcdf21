// SPDX-License-Identifier: Apache-2.0

package arm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

const azureRequired = "subscriptionId: sub\nresourceGroup: rg\nlocation: westeurope\nsecurityGroupName: nsg\n"

func config(t *testing.T, text string) *cloudconfig.Azure {
	t.Helper()
	c, err := cloudconfig.Parse([]byte(azureRequired + text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Azure
}

func noEnv(string) string { return "" }

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// cloudServer is a cloud with its authority behind one address, over TLS.
type cloudServer struct {
	*httptest.Server

	requests []string     // METHOD path
	forms    []url.Values // of requests for tokens
	refusal  string       // when set, the answer of the authority
	clouds   string       // of the metadata; HOST is the address
}

const oneCloud = `[{"name":"Fake","resourceManager":"HOST","authentication":{"audiences":["https://management.example.com/"],"loginEndpoint":"HOST/"}}]`

func newCloud(t *testing.T) *cloudServer {
	t.Helper()
	c := &cloudServer{clouds: oneCloud}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests = append(c.requests, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_ = r.ParseForm()
		text := func(s string) { _, _ = w.Write([]byte(strings.ReplaceAll(s, "HOST", c.URL))) }
		switch {
		case r.URL.Path == "/metadata/endpoints":
			text(c.clouds)
		case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
			tenant := strings.Split(r.URL.Path, "/")[1]
			text(`{"token_endpoint":"HOST/` + tenant + `/oauth2/v2.0/token","authorization_endpoint":"HOST/` + tenant + `/a","issuer":"HOST/` + tenant + `/v2.0"}`)
		case strings.HasSuffix(r.URL.Path, "/token"):
			c.forms = append(c.forms, r.Form)
			if c.refusal != "" {
				w.WriteHeader(http.StatusUnauthorized)
				text(c.refusal)
				return
			}
			text(`{"access_token":"t-` + strings.Split(r.URL.Path, "/")[1] + `","expires_in":3600,"token_type":"Bearer"}`)
		default:
			text(`{"auth":"` + r.Header.Get("Authorization") + `","also":"` + r.Header.Get("x-ms-authorization-auxiliary") + `"}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *cloudServer) setup(e func(string) string) arm.Setup {
	return arm.Setup{Env: e, Transport: c.Client()}
}

// certificate writes a self-signed certificate with its key.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ccm"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	file := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func tokenFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("federated"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCredentialsInThePeersOrder(t *testing.T) {
	const app = "tenantId: tenant\naadClientId: app\n"
	file := tokenFile(t)
	for name, tc := range map[string]struct {
		text string
		env  func(string) string
		want map[string]string // of the form
		at   string
	}{
		"client secret": {
			app + "aadClientSecret: hush\naadClientCertPath: /nowhere\n", noEnv,
			map[string]string{"client_id": "app", "client_secret": "hush", "scope": "https://management.example.com//.default openid offline_access profile"},
			"tenant",
		},
		"the environment counts": {
			app + "aadClientSecret: hush\n", env("AZURE_TENANT_ID", "other", "AZURE_CLIENT_ID", "app2", "AZURE_CLIENT_SECRET", "hush2"),
			map[string]string{"client_id": "app2", "client_secret": "hush2"},
			"other",
		},
		"certificate": {
			app + "aadClientCertPath: " + certificate(t) + "\n", noEnv,
			map[string]string{"client_id": "app", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"tenant",
		},
		"workload identity first": {
			app + "useFederatedWorkloadIdentityExtension: true\naadFederatedTokenFile: " + file + "\nuseManagedIdentityExtension: true\naadClientSecret: hush\n", noEnv,
			map[string]string{"client_id": "app", "client_assertion": "federated"},
			"tenant",
		},
		"workload identity by the environment": {
			"aadClientSecret: hush\n", env("AZURE_TENANT_ID", "tenant", "AZURE_CLIENT_ID", "app3", "AZURE_FEDERATED_TOKEN_FILE", file),
			map[string]string{"client_id": "app3", "client_assertion": "federated"},
			"tenant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCloud(t)
			c, err := arm.FromConfig(t.Context(), config(t, tc.text+"resourceManagerEndpoint: "+cl.URL+"\n"), cl.setup(tc.env))
			if err != nil {
				t.Fatal(err)
			}
			for key, want := range tc.want {
				if got := cl.forms[0].Get(key); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			got, err := c.Get(t.Context(), balancer, nil)
			if want := `{"auth":"Bearer t-` + tc.at + `","also":""}`; err != nil || string(got) != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		})
	}
}

func TestEndpointIsAskedOnce(t *testing.T) {
	cl := newCloud(t)
	c, err := arm.FromConfig(t.Context(), config(t, "tenantId: t\naadClientId: a\naadClientSecret: s\nresourceManagerEndpoint: "+cl.URL+"/\n"), cl.setup(noEnv))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Get(t.Context(), balancer, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(strings.Join(cl.requests, ","), "/metadata/endpoints"); n != 1 || len(cl.forms) != 1 {
		t.Errorf("it asked %v", cl.requests)
	}
}

func TestNetworkOfAnotherTenant(t *testing.T) {
	cl := newCloud(t)
	c, err := arm.FromConfig(t.Context(), config(t, "tenantId: tenant\naadClientId: a\naadClientSecret: s\nnetworkResourceTenantID: nettenant\nnetworkResourceSubscriptionID: netsub\nresourceManagerEndpoint: "+cl.URL+"\n"), cl.setup(noEnv))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Get(t.Context(), balancer, nil)
	if err != nil || string(got) != `{"auth":"Bearer t-tenant","also":"Bearer t-nettenant"}` {
		t.Errorf("got %s, %v", got, err)
	}
	got, err = c.Get(t.Context(), strings.Replace(balancer, "/sub/", "/netsub/", 1), nil)
	if err != nil || string(got) != `{"auth":"Bearer t-nettenant","also":""}` {
		t.Errorf("got %s, %v", got, err)
	}
}

// The managed identity of the test speaks App Service's protocol, which the
// SDK finds by variables of the process.
func TestManagedIdentity(t *testing.T) {
	var asked []url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/metadata/endpoints":
			_, _ = w.Write([]byte(strings.ReplaceAll(oneCloud, "HOST", "http://"+r.Host)))
		case "/token":
			asked = append(asked, r.URL.Query())
			_, _ = w.Write([]byte(`{"access_token":"m","expires_on":"4102444800","resource":"x","token_type":"Bearer"}`))
		default:
			_, _ = w.Write([]byte(`"` + r.Header.Get("Authorization") + `"`))
		}
	}))
	defer s.Close()
	t.Setenv("IDENTITY_ENDPOINT", s.URL+"/token")
	t.Setenv("IDENTITY_HEADER", "x")
	const id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
	for text, want := range map[string]string{
		"":                                     "",
		"userAssignedIdentityID: app\n":        "client_id=app",
		"userAssignedIdentityID: " + id + "\n": "mi_res_id=" + url.QueryEscape(id),
	} {
		asked = nil
		c, err := arm.FromConfig(t.Context(), config(t, "useManagedIdentityExtension: true\nresourceManagerEndpoint: "+s.URL+"\n"+text), arm.Setup{Env: noEnv})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Get(t.Context(), balancer, nil)
		if err != nil || string(got) != `"Bearer m"` {
			t.Errorf("got %s, %v", got, err)
		}
		if q := asked[0].Encode(); !strings.Contains(q, want) || asked[0].Get("resource") != "https://management.example.com/" {
			t.Errorf("it asked for %s, want %s", q, want)
		}
	}
}

func TestWhatIsWrongWithTheCredentials(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(bad, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		text     string
		kind     plan.Kind
		sentence string
	}{
		"none":       {"", plan.Invalid, "no credentials for Azure are configured; set useFederatedWorkloadIdentityExtension, useManagedIdentityExtension, aadClientSecret or aadClientCertPath"},
		"no tenant":  {"aadClientId: a\naadClientSecret: s\n", plan.Invalid, "client secret needs a tenant; set tenantId, or the variable AZURE_TENANT_ID"},
		"no client":  {"tenantId: t\naadClientSecret: s\n", plan.Invalid, "client secret needs a client ID; set aadClientId, or the variable AZURE_CLIENT_ID"},
		"no token":   {"tenantId: t\naadClientId: a\nuseFederatedWorkloadIdentityExtension: true\n", plan.Invalid, "workload identity needs a token; set aadFederatedTokenFile, or the variable AZURE_FEDERATED_TOKEN_FILE"},
		"no file":    {"tenantId: t\naadClientId: a\naadClientCertPath: /nowhere/c.pem\n", plan.Invalid, "aadClientCertPath: open /nowhere/c.pem: no such file"},
		"bad file":   {"tenantId: t\naadClientId: a\naadClientCertPath: " + bad + "\n", plan.Invalid, "cannot be read as a certificate with its key, in PEM or PFX"},
		"one tenant": {"useManagedIdentityExtension: true\nnetworkResourceTenantID: n\n", plan.Invalid, "networkResourceTenantID n: the managed identity of the machine is of one tenant only; use a client secret"},
		"refused":    {"tenantId: t\naadClientId: a\naadClientSecret: hush\n", plan.Denied, "sign in to Azure with client secret of client a in tenant t: denied: no token: AADSTS7000215: Invalid client secret provided; correct the credentials of the cloud-config"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCloud(t)
			cl.refusal = `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2 Timestamp: 3"}`
			_, err := arm.FromConfig(t.Context(), config(t, tc.text+"resourceManagerEndpoint: "+cl.URL+"\n"), cl.setup(noEnv))
			if pe := kind(t, err, tc.kind, tc.sentence); pe.Reason != "AzureCredentials" || strings.Contains(err.Error(), "hush") {
				t.Errorf("reason %s: %v", pe.Reason, err)
			}
		})
	}
}

func TestWhatIsWrongWithTheEndpoint(t *testing.T) {
	for name, tc := range map[string]struct {
		text, clouds string
		kind         plan.Kind
		sentence     string
	}{
		"another name": {"cloud: Mine\n", oneCloud, plan.Invalid, `it knows no cloud "Mine", but Fake; set cloud to that`},
		"no cloud":     {"", `[]`, plan.Invalid, "it knows no cloud"},
		"no audience":  {"", `[{"name":"Fake"}]`, plan.Invalid, "cloud Fake has no audience for tokens there"},
		"no list":      {"", `<html>`, plan.Invalid, "answers no list of clouds"},
		"no TLS":       {"", strings.Replace(oneCloud, `"HOST"`, `"http://example.com"`, 1), plan.Invalid, "where tokens would be sent in the clear"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCloud(t)
			cl.clouds = tc.clouds
			_, err := arm.FromConfig(t.Context(), config(t, tc.text+"resourceManagerEndpoint: "+cl.URL+"\n"), cl.setup(noEnv))
			kind(t, err, tc.kind, tc.sentence)
		})
	}
	cl := newCloud(t)
	cl.Close()
	_, err := arm.FromConfig(t.Context(), config(t, "resourceManagerEndpoint: "+cl.URL+"\n"), cl.setup(noEnv))
	kind(t, err, plan.Transient, "find Azure: resourceManagerEndpoint "+cl.URL+": does not answer: ")
}

func TestAzureStackByItsFile(t *testing.T) {
	cl := newCloud(t)
	file := filepath.Join(t.TempDir(), "env.json")
	text := `{"resourceManagerEndpoint":"` + cl.URL + `/","tokenAudience":"https://management.example.com/","activeDirectoryEndpoint":"` + cl.URL + `/"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := config(t, "cloud: AZURESTACKCLOUD\ndisableAzureStackCloud: true\ntenantId: t\naadClientId: a\naadClientSecret: s\n")
	c, err := arm.FromConfig(t.Context(), conf, cl.setup(env("AZURE_ENVIRONMENT_FILEPATH", file)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), balancer, nil); err != nil || string(got) != `{"auth":"Bearer t-t","also":""}` {
		t.Errorf("got %s, %v", got, err)
	}
	_, err = arm.FromConfig(t.Context(), conf, cl.setup(noEnv))
	kind(t, err, plan.Invalid, "cloud AZURESTACKCLOUD: its endpoints are not known; set resourceManagerEndpoint, or the variable AZURE_ENVIRONMENT_FILEPATH")
}

// A program named az stands for the Azure CLI.
func TestAzureCLI(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho '{\"accessToken\":\"cli\",\"expires_on\":4102444800,\"tokenType\":\"Bearer\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	cl := newCloud(t)
	auth, err := arm.ParseAuth("cli")
	if err != nil {
		t.Fatal(err)
	}
	s := cl.setup(noEnv)
	s.Auth = auth
	conf := config(t, "useManagedIdentityExtension: true\nresourceManagerEndpoint: "+cl.URL+"\n")
	c, err := arm.FromConfig(t.Context(), conf, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), balancer, nil); err != nil || string(got) != `{"auth":"Bearer cli","also":""}` {
		t.Errorf("got %s, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte("#!/bin/sh\necho 'Please run az login' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = arm.FromConfig(t.Context(), conf, s)
	kind(t, err, plan.Denied, "sign in to Azure with the account of the Azure CLI: denied: no token: ")
	if _, err := arm.ParseAuth("magic"); err == nil || err.Error() != `--auth "magic": must be config or cli` {
		t.Errorf("got %v", err)
	}
}

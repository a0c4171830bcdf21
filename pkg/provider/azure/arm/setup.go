// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// Setup is what a client is made of besides the cloud-config. Zero fields have
// their defaults.
type Setup struct {
	Auth      Auth                // AuthConfig unless set
	Env       func(string) string // os.Getenv unless set
	Times     Times
	Clock     clock.Clock
	Transport policy.Transporter
}

// tokenTimeout bounds the first token.
const tokenTimeout = 30 * time.Second

// FromConfig makes a client for a cloud-config: it finds out where the cloud
// answers, and asks for a token, so that the error says in one sentence what is
// wrong with the credentials. It is a *plan.Error: Transient when the cloud did
// not answer, Denied or Invalid when something must be corrected.
func FromConfig(ctx context.Context, conf *cloudconfig.Azure, s Setup) (*Client, error) {
	if s.Auth == 0 {
		s.Auth = AuthConfig
	}
	if s.Env == nil {
		s.Env = os.Getenv
	}
	web := s.Transport
	if web == nil {
		web = http.DefaultClient
	}
	where, err := findCloud(ctx, conf, s.Env, web)
	if err != nil {
		return nil, asPlanError("find Azure", err)
	}
	all := newAccounts(conf, where, s)
	acc, err := all.choose(s)
	if err != nil {
		return nil, &plan.Error{Kind: plan.Invalid, Reason: reasonCredentials, Err: err}
	}
	o := Options{
		Cloud: where, UserAgent: conf.UserAgent,
		Times: s.Times, Clock: s.Clock, Transport: s.Transport,
	}
	if err := acc.identities(&o, conf); err != nil {
		return nil, &plan.Error{Kind: plan.Invalid, Reason: reasonCredentials, Err: err}
	}
	for _, who := range []Identity{o.Identity, o.Network} {
		if err := who.check(ctx, where); err != nil {
			return nil, acc.refusal(err)
		}
	}
	c, err := New(o)
	if err != nil {
		return nil, asPlanError("set up calls to Azure", err)
	}
	return c, nil
}

// reasonCredentials is for credentials that are missing or refused.
const reasonCredentials = "AzureCredentials"

// asPlanError makes an error of the configuration.
func asPlanError(what string, err error) error {
	kind := plan.Invalid
	if errors.Is(err, errNoAnswer) {
		kind = plan.Transient
	}
	return &plan.Error{Kind: kind, Reason: reasonCredentials, Err: fmt.Errorf("%s: %w", what, err)}
}

// identities says who speaks: where the network is of another tenant, machines
// are written with a token of each, since they refer to what is there.
func (acc account) identities(o *Options, conf *cloudconfig.Azure) error {
	other := ""
	if conf.OtherNetworkTenant() && !strings.EqualFold(conf.NetworkResourceTenantID, acc.tenant) {
		other = conf.NetworkResourceTenantID
	}
	if other != "" && acc.oneTenant {
		return fmt.Errorf("networkResourceTenantID %s: %s is of one tenant only; use a client secret, a certificate or workload identity", other, acc.what)
	}
	cred, err := acc.credential(acc.tenant, other)
	if err != nil {
		return fmt.Errorf("%s: %w", acc.what, err)
	}
	o.Identity = Identity{Credential: cred, AuxiliaryTenants: allow(other)}
	if other == "" {
		return nil
	}
	if o.Network.Credential, err = acc.credential(other, ""); err != nil {
		return fmt.Errorf("%s: %w", acc.what, err)
	}
	o.NetworkSubscription = conf.NetworkResourceSubscriptionID
	return nil
}

// check asks for a token.
func (i Identity) check(ctx context.Context, where Cloud) error {
	if i.Credential == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	for _, tenant := range append([]string{""}, i.AuxiliaryTenants...) {
		// As the pipeline asks, which then finds the same token.
		ask := policy.TokenRequestOptions{Scopes: []string{where.scope()}, TenantID: tenant, EnableCAE: true}
		if _, err := i.Credential.GetToken(ctx, ask); err != nil {
			return err
		}
	}
	return nil
}

// refusal says why there is no token. A program of this machine that gives none
// has no answer to wait for.
func (acc account) refusal(err error) error {
	otherwise := plan.Transient
	if acc.local {
		otherwise = plan.Denied
	}
	return credentialRefusal("sign in to Azure with "+acc.what, err, otherwise)
}

// isCredentialError reports whether a call ended before it was sent, for want
// of a token: the errors of credentials alone are marked as not to be retried.
func isCredentialError(err error) bool {
	if _, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return false
	}
	_, ok := errors.AsType[interface {
		error
		NonRetriable()
	}](err)
	return ok
}

// credentialRefusal says why there is no token. What the authority refuses must
// be corrected; otherwise says what it is when there was no answer.
func credentialRefusal(what string, err error, otherwise plan.Kind) error {
	e := &plan.Error{Kind: otherwise, Reason: reasonCredentials}
	said, cure := wire.Innermost(err), ""
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	switch {
	case ok && failed.RawResponse != nil:
		said = authorityText(failed.RawResponse)
		if code := failed.RawResponse.StatusCode; code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusTooManyRequests {
			e.Kind, cure = plan.Denied, "; correct the credentials of the cloud-config"
		}
	case !ok && isCredentialError(err):
		e.Kind = plan.Denied
	}
	text, _, _ := strings.Cut(strings.Join(strings.Fields(said), " "), ". To troubleshoot")
	e.Err = wire.Sentence(fmt.Sprintf("%s: %s: no token: %s%s", what, e.Kind, text, cure), err)
	return e
}

// authorityText is what Microsoft Entra said: the first sentences of its
// description, which goes on with ids and times.
func authorityText(resp *http.Response) string {
	var body struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	data, err := runtime.Payload(resp)
	if err != nil || json.Unmarshal(data, &body) != nil || (body.Description == "" && body.Error == nil) {
		return "it answers " + resp.Status
	}
	text := body.Description
	if text == "" {
		text = fmt.Sprint(body.Error)
	}
	for _, end := range []string{"\r\n", "\n", " Trace ID:", " Correlation ID:"} {
		text, _, _ = strings.Cut(text, end)
	}
	return strings.TrimSuffix(text, ".")
}

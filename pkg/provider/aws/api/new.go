// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"k8s.io/component-base/version"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// connections is how many stay open to each service: as many as write side by
// side in a large pass.
const connections = 100

// sessionName is that of sessions of an assumed role, as cloud trails show it.
const sessionName = "fairlead"

// New makes a client for a cloud-config: it finds the region and asks for
// credentials, so that the error says in one sentence what is wrong with them.
// It is a *plan.Error: Transient when AWS did not answer, Denied or Invalid when
// something must be corrected. The instance metadata service is asked only for
// what configuration and environment do not say.
func New(ctx context.Context, conf *cloudconfig.AWS, s Setup) (*Client, error) {
	s.Times = s.Times.withDefaults()
	if s.Clock == nil {
		s.Clock = clock.RealClock{}
	}
	if s.HTTP == nil {
		s.HTTP = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = connections })
	}
	limits := PublishedLimits()
	if s.Limits != nil {
		limits = *s.Limits
	}
	send := &sender{pace: newPace(s.Clock, limits), clock: s.Clock, times: s.Times}
	ctx, cancel := context.WithTimeout(ctx, s.Times.SignIn)
	defer cancel()
	metadata := imds.New(imds.Options{HTTPClient: metadataHTTP(s.HTTP), Logger: logging.Nop{}}, func(o *imds.Options) {
		if at, ok := conf.Override(cloudconfig.AWSServiceIMDS, conf.Region); ok {
			o.Endpoint = at.URL
		}
	})
	base, err := load(ctx, conf, s.HTTP, metadata)
	if err != nil {
		return nil, err
	}
	if conf.Role.ARN != "" {
		base.Credentials = assume(conf, base)
	}
	if _, err := base.Credentials.Retrieve(ctx); err != nil {
		return nil, signInRefusal(conf, s, err)
	}
	base.APIOptions = append(base.APIOptions, send.install)
	base.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // sender does it
	return newClient(conf, base, metadata)
}

// metadataHTTP is the SDK's own client of the metadata service, which gives up
// soon, unless another is given.
func metadataHTTP(given aws.HTTPClient) aws.HTTPClient {
	if _, own := given.(*awshttp.BuildableClient); own {
		return nil
	}
	return given
}

// load is what the SDK finds in the environment, the user's files and, for the
// region, at last the metadata of the instance.
func load(ctx context.Context, conf *cloudconfig.AWS, web aws.HTTPClient, metadata *imds.Client) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(web),
		config.WithLogger(logging.Nop{}),
		config.WithAPIOptions([]func(*middleware.Stack) error{
			awsmiddleware.AddUserAgentKeyValue("fairlead", version.Get().GitVersion),
		}),
	}
	if conf.Region != "" {
		options = append(options, config.WithRegion(conf.Region))
	}
	if conf.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(conf.Profile))
	}
	if at, ok := conf.Override(cloudconfig.AWSServiceIMDS, conf.Region); ok {
		options = append(options, config.WithEC2IMDSEndpoint(at.URL))
	}
	base, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return base, &plan.Error{Kind: plan.Invalid, Reason: reasonCredentials, Err: fmt.Errorf("read the configuration of AWS: %w", err)}
	}
	if base.Region != "" {
		return base, nil
	}
	out, err := metadata.GetRegion(ctx, nil)
	if err != nil {
		return base, &plan.Error{Kind: plan.Invalid, Reason: reasonCredentials, Err: wire.Sentence(
			"find the region: neither the cloud-config, the environment, the profile nor the instance metadata says it ("+wire.Innermost(err)+
				"); set region in the cloud-config", err,
		)}
	}
	base.Region = out.Region
	return base, nil
}

// assume are the credentials of the role.
func assume(conf *cloudconfig.AWS, base aws.Config) aws.CredentialsProvider {
	client := sts.NewFromConfig(base, func(o *sts.Options) {
		if at, ok := endpoint(conf, cloudconfig.AWSServiceSTS, "sts", o.Region); ok {
			o.EndpointResolverV2 = fixed[sts.EndpointParameters]{at}
		}
		if conf.Role.SourceARN != "" {
			o.APIOptions = append(o.APIOptions,
				smithyhttp.SetHeaderValue("x-amz-source-arn", conf.Role.SourceARN),
				smithyhttp.SetHeaderValue("x-amz-source-account", conf.Role.SourceAccount()))
		}
	})
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, conf.Role.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName
		if conf.Role.ExternalID != "" {
			o.ExternalID = &conf.Role.ExternalID
		}
	}))
}

func newClient(conf *cloudconfig.AWS, base aws.Config, metadata *imds.Client) (*Client, error) {
	for _, service := range []string{cloudconfig.AWSServiceEC2, cloudconfig.AWSServiceELB, cloudconfig.AWSServiceELBv2} {
		if at, ok := conf.Override(service, base.Region); ok {
			if u, err := url.Parse(at.URL); err != nil || u.Host == "" {
				return nil, &plan.Error{Kind: plan.Invalid, Reason: reasonRefused, Err: fmt.Errorf("endpoint of %s: %q is not a URL", service, at.URL)}
			}
		}
	}
	return &Client{
		EC2: ec2.NewFromConfig(base, func(o *ec2.Options) {
			if at, ok := endpoint(conf, cloudconfig.AWSServiceEC2, "ec2", o.Region); ok {
				o.EndpointResolverV2 = fixed[ec2.EndpointParameters]{at}
			}
		}),
		ELB: elb.NewFromConfig(base, func(o *elb.Options) {
			if at, ok := endpoint(conf, cloudconfig.AWSServiceELB, elbSigning, o.Region); ok {
				o.EndpointResolverV2 = fixed[elb.EndpointParameters]{at}
			}
		}),
		ELBv2: elbv2.NewFromConfig(base, func(o *elbv2.Options) {
			if at, ok := endpoint(conf, cloudconfig.AWSServiceELBv2, elbSigning, o.Region); ok {
				o.EndpointResolverV2 = fixed[elbv2.EndpointParameters]{at}
			}
		}),
		Region: base.Region, metadata: metadata,
	}, nil
}

// elbSigning is the name that requests of both load-balancing APIs are signed
// for.
const elbSigning = "elasticloadbalancing"

// fixed is an endpoint that depends on nothing.
type fixed[P any] struct{ at smithyendpoints.Endpoint }

// ResolveEndpoint returns it.
func (f fixed[P]) ResolveEndpoint(context.Context, P) (smithyendpoints.Endpoint, error) {
	return f.at, nil
}

// endpoint is the one that the cloud-config names for a service; signing is the
// service's own signing name.
func endpoint(conf *cloudconfig.AWS, service, signing, region string) (smithyendpoints.Endpoint, bool) {
	var at smithyendpoints.Endpoint
	o, ok := conf.Override(service, region)
	if !ok {
		return at, false
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return at, false
	}
	if o.SigningName != "" {
		signing = o.SigningName
	}
	if o.SigningRegion != "" {
		region = o.SigningRegion
	}
	option := smithyauth.Option{SchemeID: smithyauth.SchemeIDSigV4}
	smithyhttp.SetSigV4SigningName(&option.SignerProperties, signing)
	smithyhttp.SetSigV4SigningRegion(&option.SignerProperties, region)
	at.URI = *u
	smithyauth.SetAuthOptions(&at.Properties, []*smithyauth.Option{&option})
	return at, true
}

// Instance is what the metadata service says of the machine that the controller
// runs on.
type Instance struct {
	ID, Region, Zone, VPC, Subnet string
}

// Instance asks the metadata service, which only instances of EC2 have. The
// error is a *plan.Error that says which keys of the cloud-config make up for
// it.
func (c *Client) Instance(ctx context.Context) (Instance, error) {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := c.metadata.GetInstanceIdentityDocument(ctx, nil)
	if err != nil {
		return Instance{}, noMetadata(err)
	}
	self := Instance{ID: out.InstanceID, Region: out.Region, Zone: out.AvailabilityZone}
	mac, err := c.metadatum(ctx, "mac")
	if err != nil {
		return Instance{}, noMetadata(err)
	}
	for _, field := range []struct {
		name string
		to   *string
	}{{"vpc-id", &self.VPC}, {"subnet-id", &self.Subnet}} {
		if *field.to, err = c.metadatum(ctx, "network/interfaces/macs/"+mac+"/"+field.name); err != nil {
			return Instance{}, noMetadata(err)
		}
	}
	return self, nil
}

// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// assumed is an answer of STS.
func assumed() http.HandlerFunc {
	return says("AssumeRole", "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"+
		"<SessionToken>token</SessionToken><Expiration>"+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+"</Expiration></Credentials>")
}

func TestRoleIsAssumedWithExternalIDAndSource(t *testing.T) {
	s := serve(t, script{"AssumeRole": {assumed()}, "DescribeSubnets": {says("DescribeSubnets", "")}})
	alone(t)
	conf := config(s)
	conf.Role = cloudconfig.AWSRole{
		ARN: "arn:aws:iam::111122223333:role/fairlead", ExternalID: "hello",
		SourceARN: "arn:aws:eks:eu-west-1:444455556666:cluster/prod",
	}
	c, err := api.New(t.Context(), conf, quick())
	if err != nil {
		t.Fatal(err)
	}
	if err := describeSubnets(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	sts, ec2 := s.of("AssumeRole"), s.of("DescribeSubnets")
	if len(sts) != 1 || len(ec2) != 1 {
		t.Fatalf("%d and %d calls", len(sts), len(ec2))
	}
	for name, want := range map[string]string{"RoleArn": conf.Role.ARN, "ExternalId": "hello", "RoleSessionName": "fairlead"} {
		if got := sts[0].form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"X-Amz-Source-Arn": conf.Role.SourceARN, "X-Amz-Source-Account": "444455556666"} {
		if got := sts[0].header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
		if got := ec2[0].header.Get(name); got != "" {
			t.Errorf("EC2 gets %s %q", name, got)
		}
	}
	if got := ec2[0].header.Get("Authorization"); !strings.Contains(got, "Credential=ASIAROLE/") {
		t.Errorf("EC2 is asked by %s", got)
	}
}

func TestSignInSaysWhatIsWrong(t *testing.T) {
	role := func(c *cloudconfig.AWS) { c.Role.ARN = "arn:aws:iam::111122223333:role/fairlead" }
	tests := map[string]struct {
		script script
		edit   func(*cloudconfig.AWS)
		env    map[string]string
		kind   plan.Kind
		want   string
	}{
		"a role that may not be assumed": {
			script{"AssumeRole": {elbError(403, "AccessDenied", "User: arn:aws:iam::1:user/me is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/fairlead")}},
			role, nil, plan.Denied,
			"sign in to AWS as role/fairlead: denied: arn:aws:iam::1:user/me lacks sts:AssumeRole on arn:aws:iam::111122223333:role/fairlead;" +
				" grant sts:AssumeRole on arn:aws:iam::111122223333:role/fairlead, and let the role trust it",
		},
		"keys that AWS does not know": {
			script{"AssumeRole": {elbError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")}},
			role, nil, plan.Denied,
			"sign in to AWS as role/fairlead: the credentials are refused: InvalidClientTokenId: The security token included in the request is invalid",
		},
		"no credentials at all": {
			script{},
			nil,
			map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
			plan.Denied,
			"; give the controller an IAM role, the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
		},
		"a profile that is not there": {
			script{},
			func(c *cloudconfig.AWS) { c.Profile = "ops" }, nil, plan.Invalid,
			"read the configuration of AWS: failed to get shared config profile, ops",
		},
		"no region": {
			script{},
			func(c *cloudconfig.AWS) { c.Region = "" }, nil, plan.Invalid,
			"find the region: neither the cloud-config, the environment, the profile nor the instance metadata says it",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			alone(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			conf := config(serve(t, tt.script))
			if tt.edit != nil {
				tt.edit(conf)
			}
			_, err := api.New(t.Context(), conf, quick())
			contains(t, err, tt.want)
			if plan.KindOf(err) != tt.kind {
				t.Errorf("kind %s, want %s", plan.KindOf(err), tt.kind)
			}
		})
	}
}

func TestWithoutCredentialsTheCallerSaysWhatHelps(t *testing.T) {
	alone(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	s := quick()
	s.WithoutCredentials = "sign in yourself"
	_, err := api.New(t.Context(), config(serve(t, script{})), s)
	contains(t, err, "; sign in yourself")
}

func TestMetadataIsAskedOnlyForWhatIsNotSaid(t *testing.T) {
	metadata := script{
		"PUT /latest/api/token":                                         {text("token")},
		"GET /latest/dynamic/instance-identity/document":                {text(`{"instanceId":"i-1","region":"eu-west-2","availabilityZone":"eu-west-2a"}`)},
		"GET /latest/meta-data/mac":                                     {text("02:00")},
		"GET /latest/meta-data/network/interfaces/macs/02:00/vpc-id":    {text("vpc-1\n")},
		"GET /latest/meta-data/network/interfaces/macs/02:00/subnet-id": {text("subnet-1")},
	}
	s := serve(t, metadata)
	c := client(t, s)
	if len(s.calls) > 0 || c.Region != "eu-west-1" {
		t.Errorf("region %s after calls %v", c.Region, s.calls)
	}
	conf := config(s)
	conf.Region = ""
	c, err := api.New(t.Context(), conf, quick())
	if err != nil || c.Region != "eu-west-2" {
		t.Fatalf("region %+v, %v", c, err)
	}
	t.Setenv("AWS_REGION", "eu-west-3")
	if c, err := api.New(t.Context(), conf, quick()); err != nil || c.Region != "eu-west-3" {
		t.Errorf("the environment says the region: %+v, %v", c, err)
	}
	self, err := c.Instance(t.Context())
	want := api.Instance{ID: "i-1", Region: "eu-west-2", Zone: "eu-west-2a", VPC: "vpc-1", Subnet: "subnet-1"}
	if err != nil || self != want {
		t.Errorf("got %+v, %v, want %+v", self, err, want)
	}
}

func TestWithoutMetadataTheCloudConfigIsTheCure(t *testing.T) {
	_, err := client(t, serve(t, script{})).Instance(t.Context())
	contains(t, err, "where there is none, set region, vpc and kubernetesClusterID in the cloud-config")
}

func TestOverridesSayWhereAndForWhomToSign(t *testing.T) {
	s := serve(t, script{"DescribeSubnets": {says("DescribeSubnets", "")}})
	alone(t)
	conf := cloudconfig.NewAWS()
	conf.Region = "eu-west-1"
	conf.Overrides = []cloudconfig.AWSServiceOverride{
		{Service: "EC2", Region: "eu-west-1", URL: s.URL + "/base", SigningRegion: "us-east-1", SigningName: "custom"},
	}
	c, err := api.New(t.Context(), conf, quick())
	if err != nil {
		t.Fatal(err)
	}
	if err := describeSubnets(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	got := s.of("DescribeSubnets")[0]
	if !strings.Contains(got.header.Get("Authorization"), "/us-east-1/custom/aws4_request") || got.path != "/base" {
		t.Errorf("signed for %s at %s", got.header.Get("Authorization"), got.path)
	}
	if agent := got.header.Get("User-Agent"); !strings.Contains(agent, "fairlead/") {
		t.Errorf("user agent %s", agent)
	}
}

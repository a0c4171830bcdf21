// SPDX-License-Identifier: Apache-2.0

package cloudconfig_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/test/goldenfile"
)

func TestAWSIsReadAsItStands(t *testing.T) {
	eachFile(t, "aws", func(t *testing.T, data []byte, file string) {
		c, err := cloudconfig.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, file, report(t, c))
	})
}

func TestAWSDefaultsAreThePeers(t *testing.T) {
	c := good(t, "[Global]\n")
	want := &cloudconfig.AWS{
		SecurityGroupRuleLimit: 60, SharedProbePort: 10256, SharedProbePath: "/healthz",
		NodeIPFamilies:        []cloudconfig.IPFamily{cloudconfig.IPv4},
		TopologyInstanceTypes: `^(hpc|trn|p)[0-9]+[a-z]*(-[a-z0-9]+)?(\.[0-9a-z]*)$`,
		Controller:            cloudconfig.AWSController{TargetType: cloudconfig.AWSInstances, TLSPolicy: "ELBSecurityPolicy-2016-08"},
	}
	if diff := cmp.Diff(want, c.AWS); diff != "" || c.Provider() != "aws" {
		t.Errorf("provider %q (-want +got):\n%s", c.Provider(), diff)
	}
	if diff := cmp.Diff(want, cloudconfig.DefaultAWS().AWS); diff != "" {
		t.Errorf("without a file (-want +got):\n%s", diff)
	}
}

func TestAWSZoneSaysTheRegion(t *testing.T) {
	for zone, region := range map[string]string{"eu-west-1a": "eu-west-1", "us-gov-west-1b": "us-gov-west-1", "us-west-2-lax-1a": "us-west-2"} {
		if c := good(t, "[Global]\nZone = "+zone+"\n"); c.AWS.Region != region || c.AWS.Zone != zone {
			t.Errorf("%s: region %q", zone, c.AWS.Region)
		}
	}
}

func TestAWSOverridesAreOfTheirServiceAndRegion(t *testing.T) {
	c := good(t, "[ServiceOverride \"1\"]\nService = EC2\nRegion = eu-west-1\nURL = https://a\nSigningRegion = eu-west-2\n")
	o, ok := c.AWS.Override(cloudconfig.AWSServiceEC2, "eu-west-1")
	if want := (cloudconfig.AWSServiceOverride{Service: "EC2", Region: "eu-west-1", URL: "https://a", SigningRegion: "eu-west-2"}); !ok || o != want {
		t.Errorf("got %+v", o)
	}
	for _, other := range [][2]string{{"EC2", "eu-west-2"}, {"STS", "eu-west-1"}} {
		if o, ok := c.AWS.Override(other[0], other[1]); ok {
			t.Errorf("%s of %s: got %+v", other[0], other[1], o)
		}
	}
	c.AWS.Endpoints.EC2 = "http://127.0.0.1"
	if o, _ := c.AWS.Override("EC2", "eu-west-2"); o.URL != "http://127.0.0.1" {
		t.Errorf("an endpoint counts in every region: got %+v", o)
	}
}

func TestAWSSourceAccountIsThatOfTheSource(t *testing.T) {
	for arn, want := range map[string]string{"arn:aws:eks:eu-west-1:111122223333:cluster/prod": "111122223333", "": "", "arn:aws": ""} {
		if got := (cloudconfig.AWSRole{SourceARN: arn}).SourceAccount(); got != want {
			t.Errorf("%q: got %q, want %q", arn, got, want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// TestCertificatesOfElsewhere are refused before anything is made, where a
// listener would have them.
func TestCertificatesOfElsewhere(t *testing.T) {
	const far = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d"
	const cure = "; request or import it there, and write that ARN"
	region := `annotation ssl-cert is "` + far + `", but certificate/0a1b2c3d is of region eu-west-1, and the load balancer of us-east-1` + cure
	chinese := "arn:aws-cn:acm:us-east-1:123456789012:certificate/0a1b2c3d"
	other := `annotation ssl-cert is "` + chinese + `", but certificate/0a1b2c3d is of partition aws-cn, and the load balancer of aws` + cure
	for name, c := range map[string]struct {
		change []func(*v1.Service)
		region string
		want   string // empty: it is served
	}{
		"of another region":                    {[]func(*v1.Service){with("ssl-cert", far)}, "us-east-1", region},
		"of another region, classic":           {[]func(*v1.Service){classic, with("ssl-cert", far)}, "us-east-1", region},
		"of another partition":                 {[]func(*v1.Service){with("ssl-cert", chinese)}, "us-east-1", other},
		"of IAM in another partition, classic": {[]func(*v1.Service){classic, with("ssl-cert", "arn:aws-cn:iam::123456789012:server-certificate/web")}, "us-east-1", "partition aws-cn"},
		"the second one":                       {[]func(*v1.Service){external, with("ssl-cert", theCertificate+","+far)}, "us-east-1", "certificate/0a1b2c3d is of region eu-west-1"},
		"of this region":                       {[]func(*v1.Service){with("ssl-cert", theCertificate)}, "us-east-1", ""},
		"of this region, classic":              {[]func(*v1.Service){classic, with("ssl-cert", theCertificate)}, "us-east-1", ""},
		"of this region in capitals":           {[]func(*v1.Service){with("ssl-cert", strings.Replace(theCertificate, "us-east-1", "US-EAST-1", 1))}, "us-east-1", ""},
		"of IAM":                               {[]func(*v1.Service){with("ssl-cert", "arn:aws:iam::123456789012:server-certificate/web")}, "us-east-1", ""},
		"where no port has TLS":                {[]func(*v1.Service){with("ssl-cert", far, "ssl-ports", "443")}, "us-east-1", ""},
		"where the region is not known":        {[]func(*v1.Service){with("ssl-cert", far)}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			claimed(&s.settings)
			s.settings.Region = c.region
			svc := s.service("web", c.change...)
			r := s.compute(s.all(provider.Serve, provider.Edit))
			err := r.Refused[keyOf(svc)]
			if c.want == "" {
				if err != nil || len(r.Steps) == 0 {
					t.Errorf("it is not served: %v", err)
				}
				return
			}
			if e, ok := errors.AsType[*plan.Error](err); !ok || e.Kind != plan.Invalid || e.Reason != intent.ReasonInvalidAnnotation || len(r.Steps) > 0 {
				t.Fatalf("%v, %d steps", err, len(r.Steps))
			}
			if got := strings.ReplaceAll(err.Error(), annotation, ""); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

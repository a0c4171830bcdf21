// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
	"github.com/fairlead/fairlead/test/controlplane"
)

// awsStand is a stand before a simulated AWS.
type awsStand struct {
	*stand

	cloud *awssim.Cloud
}

// newAWSStand starts a control plane before a cloud, in which a site is.
func newAWSStand(t *testing.T, bin string, cloud *awssim.Cloud, site *awssim.Site, more ...string) *awsStand {
	t.Helper()
	s := &awsStand{cloud: cloud, stand: newStand(t, bin, aws, controlplane.Options{})}
	server := cloud.Start()
	t.Cleanup(server.Close)
	s.configure(t, "cloud.conf", web.CloudConfig(site, more...), web.Environment(server.URL))
	return s
}

// manage starts the controller manager in the peer's place.
func (s *awsStand) manage(t *testing.T, args ...string) *program {
	t.Helper()
	return s.stand.manage(t, append([]string{
		"--cloud-provider=aws", "--cluster-name=" + web.ClusterName, "--configure-cloud-routes=false",
	}, args...)...)
}

// plan runs the plugin's plan, which must end with the code.
func (s *awsStand) plan(t *testing.T, code int, args ...string) string {
	t.Helper()
	return s.run(t, code, append([]string{"plan", "--cluster-name=" + web.ClusterName}, args...)...)
}

// apply applies an acceptance Service, changed by edit unless that is nil.
func (s *awsStand) apply(t *testing.T, service string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	s.applyFrom(t, web.Objects, "aws-"+strings.TrimPrefix(service, "web-")+".yaml", edit)
}

// awaitHostname waits until the status of a Service has one name.
func (s *awsStand) awaitHostname(t *testing.T, service string) string {
	t.Helper()
	var name string
	s.awaitStatus(t, service, func(svc *v1.Service) bool {
		in := svc.Status.LoadBalancer.Ingress
		if len(in) == 1 {
			name = in[0].Hostname
		}
		return name != ""
	})
	return name
}

// writes are the writes to the cloud, in words.
func (s *awsStand) writes() []string {
	var out []string
	for _, c := range s.cloud.Calls() {
		if c.Kind == awssim.Write {
			out = append(out, fmt.Sprintf("%s %s: %d", c.API(), c.Form.Encode(), c.Status))
		}
	}
	return out
}

// balancing is the load balancing in the cloud, to be compared.
func (s *awsStand) balancing(t *testing.T) string {
	t.Helper()
	text, err := web.Balancing(s.cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// machines are the instances of the cloud.
func (s *awsStand) machines(t *testing.T) []web.Machine {
	t.Helper()
	machines, err := web.Machines(s.cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	return machines
}

// awsState is what the tests read of the cloud.
type awsState struct {
	NetworkLoadBalancers []struct {
		LoadBalancer struct {
			DNSName           string
			AvailabilityZones []struct{ ZoneName string }
		}
		Attributes []struct{ Key, Value string }
		Listeners  []struct {
			Listener struct{ Port int32 }
		}
	}
	ClassicLoadBalancers []struct {
		LoadBalancerAttributes struct {
			ConnectionDraining struct {
				Enabled bool
				Timeout int
			}
		}
		LoadBalancerDescription struct {
			DNSName           string
			AvailabilityZones []string
			Instances         []struct {
				InstanceID string `json:"InstanceId"`
			}
		}
	}
	TargetGroups []struct {
		TargetHealthDescriptions []struct {
			Target struct {
				ID string `json:"Id"`
			}
		}
	}
	SecurityGroups []struct {
		GroupID       string `json:"GroupId"`
		IPPermissions []struct {
			FromPort, ToPort int32
			IPRanges         []struct {
				CidrIP string `json:"CidrIp"`
			} `json:"IpRanges"`
			Groups []struct {
				GroupID string `json:"GroupId"`
			} `json:"UserIdGroupPairs"`
		} `json:"IpPermissions"`
	}
}

func (s *awsStand) state(t *testing.T) awsState {
	t.Helper()
	var out awsState
	if err := json.Unmarshal(s.cloud.State(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// Every field of the configuration counts from the next pass on, or from the
// next start on, where a change is told; or it is known to be for others.
func TestEveryFieldOfTheConfigurationCounts(t *testing.T) {
	base := func() *cloudconfig.Azure {
		return &cloudconfig.Azure{
			ResourceGroup: "rig", RouteTableResourceGroup: "rig", RouteTableName: "routes", VMType: cloudconfig.AzureVMSS,
			LoadBalancer:  cloudconfig.AzureLoadBalancer{PoolType: cloudconfig.AzureNodeIPConfiguration},
			LoadBalancers: []cloudconfig.AzureLoadBalancerConfig{{Name: "kubernetes"}},
		}
	}
	atOnce := []string{
		"VnetName", "VnetResourceGroup", "SubnetName", "SecurityGroupName", "SecurityGroupResourceGroup", "PrivateLinkServiceResourceGroup",
		"ExtendedLocationName", "LoadBalancer.Name", "LoadBalancer.ResourceGroup", "LoadBalancer.PreConfiguredPools", "LoadBalancer.PoolType",
		"LoadBalancer.ExcludeControlPlane", "LoadBalancer.DisableOutboundSNAT", "LoadBalancer.MutateIPTags", "LoadBalancer.SharedProbe",
		"LoadBalancer.SharedProbePort", "LoadBalancer.SharedProbePath", "LoadBalancers.Name", "LoadBalancers.AllowServicePlacement",
		"LoadBalancers.PrimaryVMSet", "LoadBalancers.ServiceLabelSelector", "LoadBalancers.ServiceNamespaceSelector", "LoadBalancers.NodeSelector",
	}
	forOthers := []string{
		"ConfigType",           // of those who read the file
		"ExtendedLocationType", // the type of all edge zones is the same
	}
	var walk func(path string, field func(*cloudconfig.Azure) reflect.Value)
	walk = func(path string, field func(*cloudconfig.Azure) reflect.Value) {
		v := field(base())
		switch {
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Field(i).Name
				if path != "" {
					name = path + "." + name
				}
				walk(name, func(c *cloudconfig.Azure) reflect.Value { return field(c).Field(i) })
			}
			return
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
			walk(path, func(c *cloudconfig.Azure) reflect.Value { return field(c).Index(0) })
			return
		}
		other := base()
		change(t, path, field(other))
		now := !reflect.DeepEqual(NewSettings(base(), "kubernetes"), NewSettings(other, "kubernetes"))
		told := !reflect.DeepEqual(atStart(base()), atStart(other))
		switch {
		case slices.Contains(forOthers, path):
			if now || told {
				t.Errorf("%s has an effect", path)
			}
		case slices.Contains(atOnce, path):
			if !now || told {
				t.Errorf("%s counts at once: %v; a restart is asked for: %v", path, now, told)
			}
		case !told:
			t.Errorf("a change of %s asks for no restart", path)
		}
	}
	walk("", func(c *cloudconfig.Azure) reflect.Value { return reflect.ValueOf(c).Elem() })
	none := base()
	none.LoadBalancers = nil
	if reflect.DeepEqual(atStart(base()), atStart(none)) {
		t.Error("several load balancers that go ask for no restart")
	}
}

// change gives a field another value.
func change(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Duration:
		v.SetInt(int64(time.Minute))
		return
	case labels.Selector:
		v.Set(reflect.ValueOf(labels.Everything()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("other")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(v.Uint() + 1)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": "b"}))
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"a"}))
	case reflect.Interface:
		v.Set(reflect.ValueOf(labels.Everything()))
	default:
		t.Fatalf("%s is of kind %s", path, v.Kind())
	}
}

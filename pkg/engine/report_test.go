// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"testing/synctest"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReportIsAboutOurServicesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := func(s *v1.Service) bool { return s.Name == "foreign" }
		r := start(t, newCloud(), func(o *Options) {
			o.Owns = func(s *v1.Service) bool {
				return s.Spec.Type == v1.ServiceTypeLoadBalancer && !foreign(s) && s.Name != "handed-over"
			}
			o.Left = func(s *v1.Service) bool { return s.Name == "handed-over" }
		})
		r.put(t, service("wanted", 80))
		left := service("left", 80)
		left.Spec.Type = v1.ServiceTypeClusterIP
		left.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
		r.put(t, left)
		other := left.DeepCopy()
		other.Name, other.UID = "foreign", "uid-foreign"
		r.put(t, other)
		r.put(t, service("handed-over", 80))
		r.put(t, &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "plain"}})
		r.stop()
		<-r.stopped
		groups, err := r.Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(groups) != 1 || groups[0].Services != 3 {
			t.Errorf("%d groups, %v: want one with the Service that wants and those to be cleaned up", len(groups), groups)
		}
		if writes := r.cloud.count("create address"); writes != 0 {
			t.Errorf("a report made %d writes", writes)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"

	v1 "k8s.io/api/core/v1"
)

// unhardened says what of the restricted Pod security standard a Pod breaks,
// apart from the network of its node, which ours use.
func unhardened(pod v1.PodSpec) []string {
	var out []string
	say := func(bad bool, what string) {
		if bad {
			out = append(out, what)
		}
	}
	s := pod.SecurityContext
	say(s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0, "may run as root")
	say(s == nil || s.SeccompProfile == nil || s.SeccompProfile.Type != v1.SeccompProfileTypeRuntimeDefault, "has no seccomp profile")
	say(pod.HostPID || pod.HostIPC, "sees the processes of its node")
	for _, v := range pod.Volumes {
		say(v.HostPath != nil, "mounts a path of its node")
	}
	for i := range pod.Containers {
		c := pod.Containers[i].SecurityContext
		if c == nil {
			out = append(out, "has a container without a securityContext")
			continue
		}
		say(c.Privileged != nil && *c.Privileged, "is privileged")
		say(c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation, "may gain privileges")
		say(c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem, "may write to its root")
		say(c.Capabilities == nil || !slices.Contains(c.Capabilities.Drop, "ALL") || len(c.Capabilities.Add) > 0, "has capabilities")
	}
	return out
}

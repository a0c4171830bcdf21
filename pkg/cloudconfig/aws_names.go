// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// awsRegionForm is what the names of all regions look like.
var awsRegionForm = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// awsDirections are the words before the number in the names of regions.
func awsDirections() []string {
	return []string{"central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"}
}

// awsRegion reads the name of a region. One that is not known may be new.
func (v value) awsRegion() (string, bool) {
	s, ok := v.word()
	if !ok {
		return "", false
	}
	if !awsRegionForm.MatchString(s) {
		v.fault("is not the name of a region", "write such as eu-west-1")
		return "", false
	}
	v.doubtRegion(s)
	return s, true
}

// doubtRegion tells of a region whose direction is no word of AWS.
func (v value) doubtRegion(region string) {
	parts := strings.Split(region, "-")
	at := len(parts) - 2 // before the number
	if at < 0 || slices.Contains(awsDirections(), parts[at]) {
		return
	}
	cure := "correct it, unless the region is a new one"
	if meant := suggest(parts[at], awsDirections()); meant != "" {
		parts[at] = meant
		cure = "did you mean " + strings.Join(parts, "-") + "?"
	}
	v.warn("is like no region that is known", cure)
}

// awsID reads the id of an object of AWS.
func awsID(prefix string) func(value) (string, bool) {
	return func(v value) (string, bool) {
		s, ok := v.word()
		if ok && (!strings.HasPrefix(s, prefix) || s == prefix) {
			v.fault("is no such id", fmt.Sprintf("write such as %s0a1b2c3d", prefix))
			return "", false
		}
		return s, ok
	}
}

// emptyClusterID tells of a cluster's id that is written and empty, which is
// easily overlooked: the peer takes it for none, and asks the instance's tags.
func (v value) emptyClusterID() {
	for _, p := range v.pairs() {
		if k := strings.ToLower(p.key.Value); p.val.Kind == yaml.ScalarNode && p.val.Value == "" && (k == "kubernetesclusterid" || k == "kubernetesclustertag") {
			v.under(p.key.Value, p.val).warn("is empty, so that the tags of the controller's instance say the cluster", "write the cluster's id, or remove the key")
		}
	}
}

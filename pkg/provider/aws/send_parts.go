// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// partError is the answer of a call that AWS took but for some targets.
type partError struct {
	done    Call     // what AWS took
	refused []string // ids of instances, or addresses, each once
	cause   error    // what AWS said of the first
}

func (e *partError) Error() string {
	return fmt.Sprintf("AWS does not take %s as targets: %v", someOf(e.refused), e.cause)
}

func (e *partError) Unwrap() error { return e.cause }

// owed is what the Services are told. The wait before the next try is that of a
// refusal: most often AWS is ending the instance, or somebody stopped it.
func (e *partError) owed(in *Input) error {
	list := slices.Clone(e.refused)
	for i, id := range list {
		list[i] = refusedText(id, in.Batch.Nodes)
	}
	what := list[0] + " as a target"
	if len(list) > 1 {
		what = someOf(list) + " as targets"
	}
	i := in.Observed.Instances[e.refused[0]]
	if i == nil && in.Observed.NodesUnread != nil {
		i = &Instance{} // it may be any
	}
	why, cure := e.why(i, in.Settings.VPC)
	return &plan.Error{Kind: plan.Invalid, Reason: ReasonTargetsRefused, Err: fmt.Errorf("AWS does not take %s, since %s; %s. The others serve, and it is tried again", what, why, cure)}
}

// refusedText names a target by its node where it has one.
func refusedText(id string, nodes []*v1.Node) string {
	for _, n := range nodes {
		if x, ok := names.InstanceID(n.Spec.ProviderID); ok && x == id {
			return fmt.Sprintf("node %s (%s)", n.Name, id)
		}
	}
	if strings.HasPrefix(id, "i-") {
		return "instance " + id
	}
	return "address " + id
}

// why is why AWS refuses the first target, whose instance is nil where nothing
// is known of it, and what helps.
func (e *partError) why(i *Instance, vpc string) (why, cure string) {
	switch {
	case !strings.HasPrefix(e.refused[0], "i-"):
		return "it says: " + e.words(), "look whether the pod is in the VPC of the load balancer"
	case i == nil:
		return "it does not know that instance", "delete the Node when the instance is gone"
	case i.VPC != "" && i.VPC != vpc:
		return fmt.Sprintf("its instance is in VPC %s, and the load balancer in %s", i.VPC, vpc), "give the Node label " + v1.LabelNodeExcludeBalancers
	case i.State != "" && i.State != ec2types.InstanceStateNameRunning:
		return "its instance is " + string(i.State), cureStopped
	}
	return "it says: " + e.words(), cureStopped
}

// cureStopped is what helps where an instance does not run.
const cureStopped = "start the instance, or delete its Node"

// words are AWS's own.
func (e *partError) words() string {
	return cmp.Or(wire.Said("", api.Message(e.cause)), api.Code(e.cause))
}

// partly is a call about many items, of which AWS refuses all when it refuses
// one.
type partly[T any] struct {
	id   func(T) string
	code string // of AWS for an item that it refuses
	call func([]T) error
}

// parts are items of a call, by what AWS said of them.
type parts[T any] struct {
	taken, refused []T
	cause          error // why the first of the refused is
}

// steadyTargets is how many targets a call may have that AWS takes at all times.
// It names no limit, but at times refuses more, until there are less in a call:
// kubernetes/kubernetes#101592, kubernetes-sigs/aws-load-balancer-controller#1342.
const steadyTargets = 200

// tooLarge reports whether a call was refused that fewer items may be let in
// with.
func tooLarge(err error, items int) bool {
	if items <= steadyTargets || api.Code(err) == "" {
		return false
	}
	kind := plan.KindOf(err)
	return kind == plan.Transient || kind == plan.Throttled || api.Code(err) == "ValidationError"
}

// all calls with all items. Those that AWS names in a refusal are left out;
// where it names none halves are tried, and pieces where there are too many. It
// fails when AWS says something else.
func (c partly[T]) all(list []T) (parts[T], error) {
	var out parts[T]
	for len(list) > 0 {
		err := c.call(list)
		switch {
		case err == nil:
			out.taken = append(out.taken, list...)
			return out, nil
		case tooLarge(err, len(list)):
			return c.pieces(out, list, steadyTargets)
		case api.Code(err) != c.code:
			return out, err
		}
		named := c.named(err, list)
		if len(named) == 0 && len(list) > 1 {
			return c.pieces(out, list, (len(list)+1)/2) //nolint:mnd // halves
		}
		var rest []T
		for _, x := range list {
			if len(list) == 1 || named[c.id(x)] {
				out.refused = append(out.refused, x)
			} else {
				rest = append(rest, x)
			}
		}
		if out.cause == nil {
			out.cause = err
		}
		list = rest
	}
	return out, nil
}

// pieces calls with pieces of the list, and adds what AWS says to out.
func (c partly[T]) pieces(out parts[T], list []T, size int) (parts[T], error) {
	for piece := range slices.Chunk(list, size) {
		got, err := c.all(piece)
		out.taken, out.refused = append(out.taken, got.taken...), append(out.refused, got.refused...)
		if out.cause == nil {
			out.cause = got.cause
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// named are the ids of the items that AWS names in its refusal.
func (c partly[T]) named(err error, list []T) map[string]bool {
	ids := make([]string, len(list))
	for i, x := range list {
		ids[i] = c.id(x)
	}
	out := map[string]bool{}
	for _, id := range api.Named(err, ids) {
		out[id] = true
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"
	"slices"

	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// The codes of EC2 for a call that names an instance which it does not know,
// or what is no id at all. CreateTags has one of its own for the second.
const (
	codeNotFound  = "InvalidInstanceID.NotFound"
	codeMalformed = "InvalidInstanceID.Malformed"
	codeInvalidID = "InvalidID"
)

// callForKnown makes a call about instances. EC2 refuses all when it refuses
// one, and names those: they are left out, and the call is made for the rest.
// It returns those that it was made for, and those that EC2 does not know. What
// is no id at all is neither.
func callForKnown(ctx context.Context, ids []string, call func(context.Context, []string) error) (done, absent []string, err error) {
	for len(ids) > 0 {
		err := call(ctx, ids)
		if err == nil {
			return ids, absent, nil
		}
		refused := refusedIDs(ids, err)
		if len(refused) == 0 {
			return nil, absent, err
		}
		if api.Code(err) == codeNotFound {
			absent = append(absent, refused...)
		} else {
			klog.FromContext(ctx).V(2).Info("Left out what is no id of an instance", "ids", refused)
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(refused, id) })
	}
	return nil, absent, nil
}

// refusedIDs are those of the ids that EC2 named when it refused the call; none
// when it refused it for another reason.
func refusedIDs(ids []string, err error) []string {
	switch api.Code(err) {
	case codeNotFound, codeMalformed, codeInvalidID:
	default:
		return nil
	}
	if len(ids) == 1 {
		return ids
	}
	return api.Named(err, ids)
}

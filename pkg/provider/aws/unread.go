// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"slices"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// unread is the first error of the reads; nil when all that was tried is known.
func (o *Observed) unread(r Reads) error {
	if len(o.Unread) == 0 {
		return nil
	}
	for _, list := range r.lists() {
		for _, object := range *list {
			if err := o.Unread[object]; err != nil {
				return err
			}
		}
	}
	return nil
}

// unreadable are the Services of the batch that need what could not be read.
func unreadable(in *Input) map[plan.Key]error {
	out := map[plan.Key]error{}
	if len(in.Observed.Unread) == 0 {
		return out
	}
	for i := range in.Batch.Items {
		it := &in.Batch.Items[i]
		if err := in.Observed.unread(ReadsOf(in.Settings, in.Observed, []provider.Item{*it})); err != nil {
			out[it.Key] = err
		}
	}
	return out
}

// note notes what a read of an object says: that it is gone, or that it cannot
// be read, which is the matter of its Services alone. Other errors end the pass:
// AWS takes no more calls, or the time is over.
func (d *detailReader) note(object string, err error) error {
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case vanishedMeanwhile(err):
		d.gone[object] = true
	case isOfObject(err):
		d.observed.Unread[object] = err
	default:
		return err
	}
	return nil
}

// isOfObject reports whether AWS's answer is about what was asked for: other
// errors are of a context that ended, or of AWS taking no more calls.
func isOfObject(err error) bool {
	e, answered := errors.AsType[*plan.Error](err)
	return answered && e.Kind != plan.Throttled
}

func vanishedMeanwhile(err error) bool {
	code := api.Code(err)
	return code == "LoadBalancerNotFound" || code == "TargetGroupNotFound"
}

// one reads about one object.
func (d *detailReader) one(object string, read func() error) {
	d.group.Go(func() error { return d.note(object, read()) })
}

// many reads about several objects with one call. AWS answers for none when it
// refuses one, so halves are tried until the others are read.
func (d *detailReader) many(objects []string, read func([]string) error) error {
	err := read(objects)
	kind := plan.KindOf(err)
	apart := err != nil && (vanishedMeanwhile(err) || kind == plan.Denied || kind == plan.Invalid)
	if apart && len(objects) > 1 {
		half := len(objects) / 2 //nolint:mnd // halves
		if err := d.many(objects[:half], read); err != nil {
			return err
		}
		return d.many(objects[half:], read)
	}
	for _, object := range objects {
		if err := d.note(object, err); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets what went while it was read, and reads the tags of the target
// groups that it left behind.
func (d *detailReader) drop(ctx context.Context) error {
	var left []string
	for arn, g := range d.observed.TargetGroups {
		had := len(g.LoadBalancerArns)
		g.LoadBalancerArns = slices.DeleteFunc(slices.Clone(g.LoadBalancerArns), func(lb string) bool { return d.gone[lb] })
		if len(g.LoadBalancerArns) < had && !d.gone[arn] {
			left = append(left, arn)
		}
	}
	slices.Sort(left)
	for chunk := range slices.Chunk(left, tagsPerCall) {
		if err := d.readTags(ctx, chunk); err != nil {
			return err
		}
	}
	for object := range d.gone {
		delete(d.observed.Networks, object)
		delete(d.observed.TargetGroups, object)
	}
	return nil
}

// readTags reads tags into what they are on.
func (d *detailReader) readTags(ctx context.Context, arns []string) error {
	return d.many(arns, func(arns []string) error {
		tags, err := readTags(ctx, d.provider.client, arns)
		if err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for arn, t := range tags {
			if lb, ok := d.observed.Networks[arn]; ok {
				lb.Tags = t
			}
			if g, ok := d.observed.TargetGroups[arn]; ok {
				g.Tags = t
			}
		}
		return nil
	})
}

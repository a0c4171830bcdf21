// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// refusal classifies the error of a call and says it in one sentence.
func (s *sender) refusal(ctx context.Context, c *call, err error) error {
	if _, ok := errors.AsType[*plan.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	switch {
	case !c.begun:
		return err // the input is at fault, and the SDK says how
	case !c.signed:
		return credentialRefusal(c.String(), err, plan.Transient, "")
	case Code(err) != "":
		return s.answered(c, err)
	case errors.Is(err, context.DeadlineExceeded):
		return lost(c, err, "no answer in time")
	}
	return lost(c, err, "no answer: "+wire.Innermost(err))
}

func lost(c *call, err error, why string) error {
	return &plan.Error{Kind: plan.Transient, Reason: reasonUnavailable, Err: wire.Sentence(fmt.Sprintf("%s: %s", c, why), err)}
}

// answered is for calls that the service refused.
func (s *sender) answered(c *call, err error) error {
	v := verdictOfError(c.action, err)
	e := &plan.Error{Kind: v.kind, Reason: v.reason}
	text := fmt.Sprintf("%s: %s", c, v.word)
	switch {
	case v.kind == plan.Throttled:
		e.RetryAfter = s.pace.next(c.key)
		text += fmt.Sprintf(": AWS takes no more such calls of this account for now (%s)", Code(err))
	case v.kind == plan.Denied && v.reason == reasonDenied && v.cure == "":
		what, cure := denied(c.permission(), Message(err))
		text += ": " + what + "; " + cure
	default:
		text += ": " + Said(err)
		if v.cure != "" {
			text += "; " + v.cure
		}
	}
	e.Err = wire.Sentence(text, err)
	return e
}

// Reworded is the refusal of a call with another sentence. An error of another
// kind is left as it is.
func Reworded(err error, sentence string) error {
	e, ok := errors.AsType[*plan.Error](err)
	if !ok {
		return err
	}
	out := *e
	out.Err = wire.Sentence(sentence, e.Err)
	return &out
}

// Said is the service's own words with its code, on one line.
func Said(err error) string { return wire.Said(Code(err), Message(err)) }

// What messages of denied calls say, which have no other form.
var (
	deniedUser   = regexp.MustCompile(`User: (\S+)`)
	deniedAction = regexp.MustCompile(`not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)(?: on resource: (\S+))?`)
	deniedWhy    = regexp.MustCompile(`because (.*?)(?:\. Encoded|$)`)
)

// denied says which permission is missing for what, and the cure. The service
// names them in its message only, and EC2 sometimes in a code that only another
// permission opens.
func denied(permission, message string) (what, cure string) {
	message = strings.Join(strings.Fields(message), " ")
	who, resource := "the identity", ""
	if m := deniedUser.FindStringSubmatch(message); m != nil {
		who = m[1]
	}
	if m := deniedAction.FindStringSubmatch(message); m != nil {
		permission, resource = m[1], strings.TrimRight(m[2], ".,")
	}
	what = who + " lacks " + permission
	cure = "grant " + permission
	if resource != "" {
		what += " on " + resource
		cure += " on " + resource
	}
	if m := deniedWhy.FindStringSubmatch(message); m != nil {
		what += ", because " + strings.TrimSuffix(m[1], ".")
		if strings.Contains(m[1], "explicit deny") {
			cure = "take that deny away"
		}
	}
	return what, cure + wholePolicy
}

const wholePolicy = "; docs/aws.md has the whole policy"

// permission is the action of IAM that a call needs.
func (c *call) permission() string {
	service := "elasticloadbalancing"
	switch c.service {
	case serviceEC2:
		service = "ec2"
	case serviceSTS:
		service = serviceSTSName
	}
	return service + ":" + c.action
}

// String is the call in sentences, such as "create security group k8s-elb-a1".
func (c *call) String() string {
	var b strings.Builder
	for i, r := range c.action {
		if i > 0 && 'A' <= r && r <= 'Z' && (i+1 == len(c.action) || isLower(c.action[i+1]) || isLower(c.action[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	words := strings.Fields(b.String())
	for i, w := range words {
		if i == 0 || len(w) > 1 && isLower(w[1]) {
			words[i] = strings.ToLower(w)
		}
	}
	if object := c.object(); object != "" {
		words = append(words, object)
	}
	return strings.Join(words, " ")
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

// nameFields are the fields of inputs that say what a call is about, the best
// first.
func nameFields() []string {
	return []string{
		"LoadBalancerName", "GroupName", "GroupId", "ListenerArn", "TargetGroupArn", "LoadBalancerArn", "Name",
		"RouteTableId", "InstanceId", "ResourceArn", "RoleArn",
	}
}

// object is what the call is about; empty when its input does not say.
func (c *call) object() string {
	v := reflect.Indirect(reflect.ValueOf(c.in))
	if v.Kind() != reflect.Struct {
		return ""
	}
	for _, name := range nameFields() {
		f := v.FieldByName(name)
		if !f.IsValid() || f.Kind() != reflect.Pointer || f.IsNil() || f.Elem().Kind() != reflect.String {
			continue
		}
		return shortARN(f.Elem().String())
	}
	return ""
}

// shortARN is what is particular in an ARN: the type and names after the
// account. Another text stays.
func shortARN(text string) string {
	const parts = 6 // arn:partition:service:region:account:resource
	if fields := strings.SplitN(text, ":", parts); len(fields) == parts && fields[0] == "arn" {
		return fields[parts-1]
	}
	return text
}

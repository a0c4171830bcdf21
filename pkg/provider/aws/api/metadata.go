// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

const (
	serviceSTS     = cloudconfig.AWSServiceSTS
	serviceSTSName = "sts" // of its permissions
)

// metadatum is one value of the metadata service.
func (c *Client) metadatum(ctx context.Context, path string) (string, error) {
	out, err := c.metadata.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		return "", err
	}
	defer func() { _ = out.Content.Close() }()
	const most = 1024
	text, err := io.ReadAll(io.LimitReader(out.Content, most))
	return strings.TrimSpace(string(text)), err
}

func noMetadata(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &plan.Error{Kind: plan.Transient, Reason: reasonUnavailable, Err: wire.Sentence(
		"read the metadata of this instance: "+wire.Innermost(err)+"; where there is none, set region, vpc and kubernetesClusterID in the cloud-config", err,
	)}
}

// controllersCredentials are what to do where a controller has none.
const controllersCredentials = "give the controller an IAM role, the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"

// signInRefusal says why there are no credentials, and what to do.
func signInRefusal(conf *cloudconfig.AWS, s Setup, err error) error {
	what := "sign in to AWS"
	switch {
	case conf.Role.ARN != "":
		what += " as " + shortARN(conf.Role.ARN)
	case conf.Profile != "":
		what += " with profile " + conf.Profile
	}
	return credentialRefusal(what, err, plan.Denied, cmp.Or(s.WithoutCredentials, controllersCredentials))
}

// credentialRefusal says why there are no credentials. What STS refuses must be
// corrected; otherwise says what it is when nobody answered, and cure what to do
// where there are none at all.
func credentialRefusal(what string, err error, otherwise plan.Kind, cure string) error {
	e := &plan.Error{Kind: otherwise, Reason: reasonCredentials}
	text := what + ": no credentials: " + wire.Innermost(err)
	switch {
	case Code(err) != "":
		v := verdictOfError("", err)
		e.Kind = v.kind
		text = what + ": " + v.word + ": " + Said(err)
		if v.kind == plan.Denied && v.reason == reasonDenied {
			missing, cure := denied(serviceSTSName+":AssumeRole", Message(err))
			text = what + ": " + v.word + ": " + missing + "; " + strings.TrimSuffix(cure, wholePolicy) + ", and let the role trust it"
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, text = plan.Transient, what+": no answer in time"
	case otherwise == plan.Denied:
		text += "; " + cure
	}
	e.Err = wire.Sentence(text, err)
	return e
}

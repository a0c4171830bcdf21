// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"context"
	"errors"
	"flag"
	"io"
)

// errNoLinux says why there is no rack.
var errNoLinux = errors.New("network namespaces need Linux")

// metalOptions has no flags here.
type metalOptions struct{}

func (metalOptions) flags(*flag.FlagSet) {}

func inRack(f func() int) int { return f() }

func (metalOptions) measure(context.Context, io.Writer) error { return errNoLinux }

func (metalOptions) soak(context.Context, io.Writer) error { return errNoLinux }

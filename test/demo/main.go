// SPDX-License-Identifier: Apache-2.0

// Command demo runs Fairlead's main job on loopback, without root: a real
// control plane, the controller manager, three speakers that stand for three
// nodes, and a BGP router that peers with them; or, with CLOUD=azure in the
// environment, the controller manager against a simulated Azure, and with
// CLOUD=aws against a simulated AWS. It tells what happens as it happens. `demo
// up` runs it, with KEEP=1 in the environment it stays, and `demo down` ends one
// that stayed.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// command does what the command line says.
func command(ctx context.Context, args []string, out io.Writer) error {
	root, err := binaries.Root()
	if err != nil {
		return err
	}
	p := paths{root: root, bin: filepath.Join(root, "bin"), dir: filepath.Join(root, "bin", "demo")}
	if p.cloud, err = parseCloud(os.Getenv("CLOUD")); err != nil {
		return err
	}
	verb := ""
	if len(args) == 1 {
		verb = args[0]
	}
	switch {
	case verb == "up" && cmp.Or(os.Getenv("KEEP"), "0") != "0":
		return detach(ctx, p, out)
	case verb == "up":
		return runOnce(ctx, p, out)
	case verb == keepVerb:
		return keep(ctx, p)
	case verb == "down":
		return down(ctx, p, out)
	default:
		return errors.New("say up or down; KEEP=1 in the environment lets up leave everything running")
	}
}

// paths say where things are.
type paths struct {
	root  string // the checkout
	bin   string // the binaries
	dir   string // what this run keeps
	cloud cloud
}

// cloud is what the demo runs on. The zero value is none.
type cloud uint8

// The clouds.
const (
	cloudMetal cloud = iota + 1
	cloudAzure
	cloudAWS
)

// command is what runs this demo.
func (p paths) command() string {
	switch p.cloud {
	case cloudAzure:
		return "make demo CLOUD=azure"
	case cloudAWS:
		return "make demo CLOUD=aws"
	case cloudMetal:
	}
	return "make demo"
}

func parseCloud(name string) (cloud, error) {
	switch name {
	case "", "metal":
		return cloudMetal, nil
	case "azure":
		return cloudAzure, nil
	case "aws":
		return cloudAWS, nil
	}
	return 0, fmt.Errorf("CLOUD=%s: must be metal, azure or aws", name)
}

// runOnce tells the story and ends everything.
func runOnce(ctx context.Context, p paths, out io.Writer) error {
	release, err := p.claim()
	if err != nil {
		return err
	}
	defer release()
	tell := newTeller(out)
	d := newPlay(p, tell)
	err = errors.Join(d.up(ctx), d.down())
	if err == nil {
		tell.paragraph("", "All of it has ended. `"+p.command()+" KEEP=1` leaves it running.")
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted; all that was started has ended")
	}
	return fmt.Errorf("%w\nthe logs of all programs are in %s", err, p.logs())
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"path/filepath"
	"testing"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// The Services that most trials ask: one of each policy, and one whose only
// endpoint is on the node in question.
func three() []string { return []string{"cluster", "local", "local-only"} }

func TestRack(t *testing.T) {
	var rows []Row
	t.Run("FRR internal", func(t *testing.T) {
		r := newRack(t, Options{CloudConfig: testdata(t, "metal-config.yaml"), Password: "foo"})
		acceptance(t, r)
		t.Run("two families over one session", func(t *testing.T) { dualStack(t, r) })
		s := newScene(t, r, "iBGP", &rows)
		noLoss(t, s)
		costs(t, s)
		must(t, s.stillLed(within(t, limit)))
	})
	t.Run("FRR external", func(t *testing.T) {
		r := newRack(t, Options{CloudConfig: testdata(t, "external.yaml"), NodeASN: 64512, Password: "foo"})
		s := newScene(t, r, "eBGP", &rows)
		noLoss(t, s)
		s.run(t, resets()...)
	})
	t.Run("BIRD internal", func(t *testing.T) {
		r := newRack(t, Options{Router: BIRD, CloudConfig: testdata(t, "metal-config.yaml"), Password: "foo"})
		acceptance(t, r)
		t.Run("two families over one session", func(t *testing.T) { dualStack(t, r) })
		s := newScene(t, r, "iBGP", &rows)
		noLoss(t, s)
		s.run(t, resets()...)
	})
	if len(rows) == 0 {
		return
	}
	t.Logf("\n%s", Table(rows))
	root, err := binaries.Root()
	must(t, err)
	file := filepath.Join(root, "bin", "rack.json")
	must(t, WriteRows(file, rows))
	t.Logf("the same is in %s", file)
}

// noLoss runs what may lose nothing.
func noLoss(t *testing.T, s *scene) {
	t.Helper()
	s.run(t,
		trial{"speaker restarts by TERM", three(), nothing, restartSpeaker((*Program).Stop)},
		trial{"speaker restarts by KILL", three(), nothing, restartSpeaker((*Program).Kill)},
		trial{"controller is killed", three(), nothing, killController},
		trial{"node is cordoned and uncordoned", three(), noRequest, cordon},
		trial{"endpoint comes up elsewhere", []string{"local-only"}, noRequest, successor},
		trial{"node leaves", three(), noRequest, leave},
		trial{"node comes back", three(), noRequest, comeBack},
		trial{"endpoint moves back", []string{"local-only"}, shown, predecessor},
	)
}

// resets are what takes the sessions down from the router's side.
func resets() []trial {
	return []trial{
		{"router resets its sessions", three(), shown, resetSessions},
		{"router reboots in 5 s", three(), shown, restartRouter(Reboot)},
	}
}

// costs counts what cannot go without loss.
func costs(t *testing.T, s *scene) {
	t.Helper()
	s.run(t, resets()...)
	asked := []string{"cluster-only", "local"}
	if testing.Short() {
		t.Log("left out by -short: losses of power with a hold time of 90 s")
	} else {
		s.run(t,
			trial{"router loses power for 5 s, hold time 90 s", three(), shown, restartRouter(PowerLoss)},
			trial{"node loses power, hold time 90 s", asked, shown, losePower},
		)
		must(t, regainPower(within(t, limit), s))
	}
	mark, err := s.Routes.Now()
	must(t, err)
	must(t, s.Configure(testdata(t, "short-hold.yaml")))
	must(t, s.holdTime(within(t, limit), "9"))
	if changes, err := s.Routes.Since(mark); err != nil || len(changes) > 0 {
		t.Errorf("an edit of the hold time changed routes: %v, %v", changes, err)
	}
	s.run(t,
		trial{"router loses power for 5 s, hold time 9 s", three(), shown, restartRouter(PowerLoss)},
		trial{"node loses power, hold time 9 s", asked, shown, losePower},
	)
	must(t, regainPower(within(t, limit), s))
}

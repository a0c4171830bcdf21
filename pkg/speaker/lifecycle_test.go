// SPDX-License-Identifier: Apache-2.0

package speaker_test

import (
	"testing"
	"time"

	"github.com/fairlead/fairlead/pkg/speaker"
)

const drain = 5 * time.Second

func TestLifecycle(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := t0.Add
	in := func(p speaker.Phase, d time.Duration) speaker.Lifecycle {
		return speaker.Lifecycle{Phase: p, Since: at(d)}
	}
	stays := speaker.Node{Name: "a", Known: true}
	leaves := speaker.Node{Name: "a", Known: true, Leaving: "told so"}
	cordoned := speaker.Node{Name: "a", Known: true, Cordoned: true}
	gone := speaker.Node{Name: "a"}
	cases := map[string]struct {
		was    speaker.Lifecycle
		now    time.Duration
		node   speaker.Node
		health speaker.Health
		want   speaker.Lifecycle
		wait   time.Duration
	}{
		"a node that starts serves":                 {speaker.Lifecycle{}, 1, stays, 0, in(speaker.Serving, 1), 0},
		"a new node holds":                          {in(speaker.Holding, 0), 1, stays, speaker.Unhealthy, in(speaker.Holding, 0), 0},
		"until kube-proxy is healthy":               {in(speaker.Holding, 0), 1, stays, speaker.Healthy, in(speaker.Serving, 1), 0},
		"kube-proxy that fails later is no matter":  {in(speaker.Serving, 0), 1, stays, speaker.Unhealthy, in(speaker.Serving, 0), 0},
		"a cordoned node serves":                    {in(speaker.Serving, 0), 1, cordoned, 0, in(speaker.Serving, 0), 0},
		"a node that leaves drains":                 {in(speaker.Serving, 0), time.Hour, leaves, 0, in(speaker.Draining, time.Hour), drain},
		"for the drain time":                        {in(speaker.Draining, 0), 2 * time.Second, leaves, 0, in(speaker.Draining, 0), 3 * time.Second},
		"and is drained then":                       {in(speaker.Draining, 0), drain, leaves, 0, in(speaker.Drained, 0), 0},
		"and stays so":                              {in(speaker.Drained, 0), time.Hour, leaves, 0, in(speaker.Drained, 0), 0},
		"one that stays after all serves again":     {in(speaker.Draining, 0), 2, stays, 0, in(speaker.Serving, 2), 0},
		"also when it was drained":                  {in(speaker.Drained, 0), time.Hour, stays, 0, in(speaker.Serving, time.Hour), 0},
		"a deleted node drains":                     {in(speaker.Serving, 0), 1, gone, 0, in(speaker.Draining, 1), drain},
		"one that leaves at its start has no drain": {speaker.Lifecycle{}, 1, leaves, 0, in(speaker.Drained, 1), 0},
		"nor one that held":                         {in(speaker.Holding, 0), 1, gone, speaker.Healthy, in(speaker.Drained, 1), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, wait := c.was.Next(at(c.now), c.node, c.health, drain)
			if got != c.want || wait != c.wait {
				t.Errorf("got %v after %s, want %v after %s", got, wait, c.want, c.wait)
			}
		})
	}
}

func TestPhaseRoundTrips(t *testing.T) {
	for _, p := range []speaker.Phase{speaker.Serving, speaker.Holding, speaker.Draining, speaker.Drained} {
		if got := speaker.ParsePhase(p.String()); got != p {
			t.Errorf("%s is read as %s", p, got)
		}
	}
	if got := speaker.ParsePhase("Unknown"); got != 0 {
		t.Errorf("Unknown is read as %d", got)
	}
}

func TestStateRoundTrips(t *testing.T) {
	in := speaker.NodeState{
		Node: "node-a", Phase: "Draining", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Marked: true,
		BootID: "b", Announced: true,
		Sessions: []speaker.SessionState{{Peer: "x", State: "Up", Routes: 3}},
	}
	data, err := in.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	out, err := speaker.ParseState(data)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := out.Marshal(); err != nil || again != data {
		t.Errorf("it came back as %s (%v), was %s", again, err, data)
	}
	if l := out.Lifecycle(); l.Phase != speaker.Draining || !l.Since.Equal(in.Since) {
		t.Errorf("lifecycle is %v", l)
	}
	if _, err := speaker.ParseState("{"); err == nil {
		t.Error("half an object was read")
	}
}

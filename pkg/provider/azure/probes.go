// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// wantProbe is a health probe as it shall be.
type wantProbe struct {
	name, protocol      string
	port                int
	path                string // empty for TCP
	interval, threshold int
}

// The defaults of probes.
const (
	probeInterval  = 5 // seconds
	probeThreshold = 2
	probePath      = "/"
	// localPath is where kube-proxy answers for externalTrafficPolicy Local.
	localPath = "/healthz"
	// probeBudget is the time in which a probe must decide, in seconds: the
	// peer refuses more.
	probeBudget = 120

	protocolTCP, protocolHTTP, protocolHTTPS = "Tcp", "Http", "Https"
)

// probeRules are what the probe of a port depends on beside the port.
type probeRules struct {
	node   *wantProbe // one for all ports; nil for none
	shared bool       // and it is that of all Services
}

// nodeProbe is the one probe for all ports of the Service: that of kube-proxy
// for externalTrafficPolicy Local, or that of all Services. Nil: each port has
// its own.
func (t *turn) nodeProbe(a *ask, f intent.Family) (probe *wantProbe, shared bool) {
	in := &a.item.Intent
	if in.Traffic != intent.Local {
		if t.settings.Probes != SharedProbe {
			return nil, false
		}
		return &wantProbe{
			name: names.SharedProbe, protocol: protocolHTTP, port: int(t.settings.SharedProbePort), path: t.settings.SharedProbePath,
			interval: probeInterval, threshold: probeThreshold,
		}, true
	}
	if a.on(intent.KeyAzurePLSCreate) && a.on(intent.KeyAzurePLSProxyProtocol) {
		return nil, false
	}
	p := &wantProbe{
		name: a.names.Rule(intent.TCP, in.HealthCheckNodePort, f), protocol: protocolHTTP,
		port: int(in.HealthCheckNodePort), path: localPath,
	}
	p.interval, p.threshold = a.probeTimes(in.HealthCheckNodePort)
	return p, false
}

// probeTimes are the interval and the threshold of the port's probe.
func (a *ask) probeTimes(port uint16) (interval, threshold int) {
	return a.probeNumber(intent.AzurePortProbeInterval, port, intent.KeyAzureProbeInterval, probeInterval),
		a.probeNumber(intent.AzurePortProbeCount, port, intent.KeyAzureProbeCount, probeThreshold)
}

// probeNumber is the value for the port, else for the Service, else def.
func (a *ask) probeNumber(k intent.AzurePort, port uint16, key string, def int) int {
	own, _ := a.options().Int(k.Key(port))
	all, _ := a.options().Int(key)
	return cmp.Or(own, all, def)
}

// portProbe is the probe of the port: nil for none. The node's probe serves
// unless the port names what is to be probed.
func (a *ask) portProbe(port intent.Port, name string, rules probeRules) (*wantProbe, error) {
	if rules.shared || port.Proto != intent.TCP {
		return rules.node, nil
	}
	number, named, err := a.probePort(port)
	if err != nil {
		return nil, err
	}
	if !named && rules.node != nil {
		return rules.node, nil
	}
	p := &wantProbe{name: name, protocol: a.probeProtocol(port), port: number}
	if p.protocol != protocolTCP {
		own, _ := a.options().Text(intent.AzurePortProbePath.Key(port.Port))
		all, _ := a.options().Text(intent.KeyAzureProbePath)
		p.path = cmp.Or(own, all, probePath)
	}
	p.interval, p.threshold = a.probeTimes(port.Port)
	return p, p.checkTimes()
}

func (w *wantProbe) checkTimes() error {
	if w == nil || w.interval*w.threshold < probeBudget {
		return nil
	}
	return refuse(ReasonInvalidProbe, "the probe of port %d has an interval of %d s and decides after %d probes, which must be below %d s together; lower annotation %s or %s",
		w.port, w.interval, w.threshold, probeBudget, intent.KeyAzureProbeInterval, intent.KeyAzureProbeCount)
}

// probePort is what the port's probe asks, and whether an annotation says so.
func (a *ask) probePort(port intent.Port) (number int, named bool, err error) {
	key := intent.AzurePortProbePort.Key(port.Port)
	text, ok := a.options().Text(key)
	if !ok {
		return int(port.NodePort), false, nil
	}
	n, parseErr := strconv.Atoi(text)
	for _, p := range a.item.Intent.Ports {
		if parseErr == nil && int(p.Port) == n || parseErr != nil && p.Name != "" && strings.EqualFold(p.Name, text) {
			return int(p.NodePort), true, nil
		}
	}
	if parseErr != nil || n < 0 || n > 65535 {
		return 0, false, refuse(ReasonInvalidProbe, "annotation %s is %q, but must be a port of the Service by name or number, or a number from 0 to 65535; correct or remove it", key, text)
	}
	return n, true, nil
}

// probeProtocol is that of the port's annotation, else of its appProtocol,
// else of the Service's annotation. What Azure has no probe for is TCP.
func (a *ask) probeProtocol(port intent.Port) string {
	own, _ := a.options().Text(intent.AzurePortProbeProtocol.Key(port.Port))
	all, _ := a.options().Text(intent.KeyAzureProbeProtocol)
	switch text := strings.TrimSpace(cmp.Or(own, port.AppProtocol, all)); {
	case strings.EqualFold(text, protocolHTTP):
		return protocolHTTP
	case strings.EqualFold(text, protocolHTTPS):
		return protocolHTTPS
	}
	return protocolTCP
}

// probeSet are probes of different names, in order.
type probeSet struct{ list []wantProbe }

func (s *probeSet) add(p wantProbe) {
	for _, have := range s.list {
		if names.Same(have.name, p.name) {
			return
		}
	}
	s.list = append(s.list, p)
}

// diffs is what is different, by the peer's test.
func (w *wantProbe) diffs(have *probe) map[string]plan.Diff {
	p := &have.Properties
	d := diffs{}
	d.text("protocol", p.Protocol, w.protocol)
	d.value("port", fmt.Sprint(p.Port), fmt.Sprint(w.port))
	d.text("requestPath", p.RequestPath, w.path)
	d.value("intervalInSeconds", fmt.Sprint(p.IntervalInSeconds), fmt.Sprint(w.interval))
	d.value("probeThreshold", fmt.Sprint(p.ProbeThreshold), fmt.Sprint(w.threshold))
	return d
}

func (w *wantProbe) fields() []field {
	var path any
	if w.path != "" {
		path = w.path
	}
	return []field{
		{"protocol", w.protocol},
		{"port", w.port},
		{"requestPath", path},
		{"intervalInSeconds", w.interval},
		{"probeThreshold", w.threshold},
	}
}

// putProbe adds the probe, or changes in it what differs.
func (t *turn) putProbe(a *ask, b *balancer, w wantProbe) {
	have, has := b.probes.get(w.name)
	var changed map[string]plan.Diff
	if has {
		if changed = w.diffs(have); len(changed) == 0 {
			return
		}
	}
	b.probes.put(w.name, writeFields(b.probes.raw(w.name), w.fields(), changed))
	b.gains[a.key] = true
	if has {
		b.change(a.key, sortedDiffs("probe "+w.name, changed)...)
		return
	}
	b.change(a.key, plan.Diff{Field: "probe " + w.name, Want: strings.TrimSpace(fmt.Sprintf("%s %d %s", w.protocol, w.port, w.path))})
}

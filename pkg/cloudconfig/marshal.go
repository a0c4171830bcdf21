// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Marshal writes the config in our format, defaults left out, with inline
// passwords as [redacted], which Parse refuses.
func Marshal(c *Config) ([]byte, error) {
	return marshal(c, func(Secret) string { return redacted })
}

// MarshalWithSecrets is Marshal with inline passwords in the clear. Parse of
// it gives an equal config.
func MarshalWithSecrets(c *Config) ([]byte, error) { return marshal(c, Secret.Reveal) }

func marshal(c *Config, show func(Secret) string) ([]byte, error) {
	f := configYAML{APIVersion: APIVersion, Kind: Kind, Drift: driftYAML{
		Mode: c.Drift.Mode.String(), Interval: duration(c.Drift.Interval),
	}}
	if c.Metal != nil {
		m, err := newMetalYAML(c.Metal, show)
		if err != nil {
			return nil, err
		}
		f.Metal = m
	}
	if c.Azure != nil {
		a, err := newAzureYAML(c.Azure, show)
		if err != nil {
			return nil, err
		}
		f.Azure = a
	}
	if c.AWS != nil {
		a, err := newAWSYAML(c.AWS)
		if err != nil {
			return nil, err
		}
		f.AWS = a
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("write %s: %w", Kind, err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write %s: %w", Kind, err)
	}
	return b.Bytes(), nil
}

// The types below are the file as it is written. What equals its default is
// nil or empty and left out.

type configYAML struct {
	APIVersion string     `yaml:"apiVersion"`
	Kind       string     `yaml:"kind"`
	Drift      driftYAML  `yaml:"drift"`
	Metal      *metalYAML `yaml:"metal,omitempty"`
	Azure      *yaml.Node `yaml:"azure,omitempty"`
	AWS        *yaml.Node `yaml:"aws,omitempty"`
}

type driftYAML struct {
	Mode     string `yaml:"mode"`
	Interval string `yaml:"interval"`
}

type metalYAML struct {
	Pools          []poolYAML          `yaml:"pools,omitempty"`
	Peers          []peerYAML          `yaml:"peers,omitempty"`
	Advertisements []advertisementYAML `yaml:"advertisements"` // none is not the same as []
	Zones          []zoneYAML          `yaml:"zones,omitempty"`
	Speaker        *speakerYAML        `yaml:"speaker,omitempty"`
}

type poolYAML struct {
	Name                  string         `yaml:"name"`
	Addresses             []string       `yaml:"addresses"`
	AutoAssign            *bool          `yaml:"autoAssign,omitempty"`
	AvoidBuggyIPs         bool           `yaml:"avoidBuggyIPs,omitempty"`
	ShareAcrossNamespaces bool           `yaml:"shareAcrossNamespaces,omitempty"`
	Priority              int            `yaml:"priority,omitempty"`
	Namespaces            []string       `yaml:"namespaces,omitempty"`
	NamespaceSelectors    []selectorYAML `yaml:"namespaceSelectors,omitempty"`
	ServiceSelectors      []selectorYAML `yaml:"serviceSelectors,omitempty"`
}

type peerYAML struct {
	Name             string               `yaml:"name"`
	MyASN            uint32               `yaml:"myASN"`
	PeerASN          uint32               `yaml:"peerASN"`
	Address          string               `yaml:"address"`
	Port             uint16               `yaml:"port,omitempty"`
	SourceAddress    string               `yaml:"sourceAddress,omitempty"`
	RouterID         string               `yaml:"routerID,omitempty"`
	HoldTime         string               `yaml:"holdTime,omitempty"`
	KeepaliveTime    string               `yaml:"keepaliveTime,omitempty"`
	ConnectRetryTime string               `yaml:"connectRetryTime,omitempty"`
	MultihopTTL      uint8                `yaml:"multihopTTL,omitempty"`
	Password         string               `yaml:"password,omitempty"`
	PasswordFile     string               `yaml:"passwordFile,omitempty"`
	PasswordSecret   *secretYAML          `yaml:"passwordSecret,omitempty"`
	GracefulRestart  *gracefulRestartYAML `yaml:"gracefulRestart,omitempty"`
	NodeSelectors    []selectorYAML       `yaml:"nodeSelectors,omitempty"`
}

type secretYAML struct {
	Name string `yaml:"name"`
	Key  string `yaml:"key,omitempty"`
}

type gracefulRestartYAML struct {
	Enabled     *bool  `yaml:"enabled,omitempty"`
	RestartTime string `yaml:"restartTime,omitempty"`
}

type advertisementYAML struct {
	Name                string         `yaml:"name"`
	Pools               []string       `yaml:"pools,omitempty"`
	AggregationLength   *int           `yaml:"aggregationLength,omitempty"`
	AggregationLengthV6 *int           `yaml:"aggregationLengthV6,omitempty"`
	LocalPref           *uint32        `yaml:"localPref,omitempty"`
	Communities         []string       `yaml:"communities,omitempty"`
	Peers               []string       `yaml:"peers,omitempty"`
	NodeSelectors       []selectorYAML `yaml:"nodeSelectors,omitempty"`
	ServiceSelectors    []selectorYAML `yaml:"serviceSelectors,omitempty"`
}

type zoneYAML struct {
	Name          string         `yaml:"name,omitempty"`
	Region        string         `yaml:"region,omitempty"`
	CIDRs         []string       `yaml:"cidrs,omitempty"`
	NodeSelectors []selectorYAML `yaml:"nodeSelectors,omitempty"`
}

type speakerYAML struct {
	DrainTime          string  `yaml:"drainTime,omitempty"`
	KubeProxyHealthURL *string `yaml:"kubeProxyHealthURL,omitempty"`
}

type selectorYAML struct {
	MatchLabels      map[string]string `yaml:"matchLabels,omitempty"`
	MatchExpressions []expressionYAML  `yaml:"matchExpressions,omitempty"`
}

type expressionYAML struct {
	Key      string   `yaml:"key"`
	Operator string   `yaml:"operator"`
	Values   []string `yaml:"values,omitempty,flow"`
}

// unless is nil for the default, which is then left out.
func unless[T comparable](v, standard T) *T {
	if v == standard {
		return nil
	}
	return &v
}

func unlessDuration(d, standard time.Duration) string {
	if d == standard {
		return ""
	}
	return duration(d)
}

// newAzureYAML writes the keys that have an effect, in the order of their table.
func newAzureYAML(a *Azure, show func(Secret) string) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range azureKeys() {
		if k.write == nil {
			continue
		}
		if err := addKey(out, k.name, k.write(a, show)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func newMetalYAML(m *Metal, show func(Secret) string) (*metalYAML, error) {
	w := selectorWriter{}
	out := &metalYAML{Advertisements: []advertisementYAML{}}
	for i := range m.Pools {
		out.Pools = append(out.Pools, newPoolYAML(&m.Pools[i], &w))
	}
	for i := range m.Peers {
		out.Peers = append(out.Peers, newPeerYAML(&m.Peers[i], show, &w))
	}
	for i := range m.Advertisements {
		out.Advertisements = append(out.Advertisements, newAdvertisementYAML(&m.Advertisements[i], &w))
	}
	for _, z := range m.Zones {
		out.Zones = append(out.Zones, zoneYAML{
			Name: z.Name, Region: z.Region, CIDRs: texts(z.CIDRs), NodeSelectors: w.write(z.NodeSelectors),
		})
	}
	if s := (speakerYAML{
		DrainTime:          unlessDuration(m.Speaker.DrainTime, DefaultDrainTime),
		KubeProxyHealthURL: unless(m.Speaker.KubeProxyHealthURL, DefaultKubeProxyHealthURL),
	}); s != (speakerYAML{}) {
		out.Speaker = &s
	}
	return out, w.err
}

func newPoolYAML(p *Pool, w *selectorWriter) poolYAML {
	return poolYAML{
		Name: p.Name, Addresses: texts(p.Blocks),
		AutoAssign: unless(p.AutoAssign, true), AvoidBuggyIPs: p.AvoidBuggyIPs,
		ShareAcrossNamespaces: p.ShareAcrossNamespaces, Priority: p.Priority,
		Namespaces:         p.Namespaces,
		NamespaceSelectors: w.write(p.NamespaceSelectors), ServiceSelectors: w.write(p.ServiceSelectors),
	}
}

func newPeerYAML(p *Peer, show func(Secret) string, w *selectorWriter) peerYAML {
	out := peerYAML{
		Name: p.Name, MyASN: p.MyASN, PeerASN: p.PeerASN, Address: p.Address.String(),
		HoldTime:         unlessDuration(p.HoldTime, DefaultHoldTime),
		KeepaliveTime:    unlessDuration(p.KeepaliveTime, keepalive(p.HoldTime)),
		ConnectRetryTime: unlessDuration(p.ConnectRetryTime, DefaultConnectRetryTime),
		MultihopTTL:      p.MultihopTTL, PasswordFile: p.Password.File,
		NodeSelectors: w.write(p.NodeSelectors),
	}
	if p.Port != DefaultPort {
		out.Port = p.Port
	}
	if p.SourceAddress.IsValid() {
		out.SourceAddress = p.SourceAddress.String()
	}
	if p.RouterID.IsValid() {
		out.RouterID = p.RouterID.String()
	}
	if p.Password.Inline != "" {
		out.Password = show(p.Password.Inline)
	}
	if p.Password.SecretName != "" {
		out.PasswordSecret = &secretYAML{Name: p.Password.SecretName}
		if p.Password.SecretKey != DefaultSecretKey {
			out.PasswordSecret.Key = p.Password.SecretKey
		}
	}
	if g := (gracefulRestartYAML{
		Enabled:     unless(p.GracefulRestart.Enabled, true),
		RestartTime: unlessDuration(p.GracefulRestart.RestartTime, DefaultRestartTime),
	}); g != (gracefulRestartYAML{}) {
		out.GracefulRestart = &g
	}
	return out
}

func newAdvertisementYAML(a *Advertisement, w *selectorWriter) advertisementYAML {
	return advertisementYAML{
		Name: a.Name, Pools: a.Pools, Peers: a.Peers, LocalPref: a.LocalPref,
		AggregationLength:   unless(a.AggregationLength, 32),
		AggregationLengthV6: unless(a.AggregationLengthV6, 128),
		Communities:         texts(a.Communities),
		NodeSelectors:       w.write(a.NodeSelectors), ServiceSelectors: w.write(a.ServiceSelectors),
	}
}

func texts[T fmt.Stringer](list []T) []string {
	var out []string
	for _, t := range list {
		out = append(out, t.String())
	}
	return out
}

// selectorWriter keeps the first selector that the format cannot hold.
type selectorWriter struct{ err error }

func (w *selectorWriter) write(s Selectors) []selectorYAML {
	var out []selectorYAML
	for _, sel := range s {
		reqs, selectable := sel.Requirements()
		if !selectable {
			w.fail(sel)
		}
		one := selectorYAML{}
		for _, r := range reqs {
			w.requirement(&one, sel, r)
		}
		out = append(out, one)
	}
	return out
}

func (w *selectorWriter) requirement(to *selectorYAML, sel labels.Selector, r labels.Requirement) {
	values := slices.Sorted(slices.Values(r.ValuesUnsorted()))
	e := expressionYAML{Key: r.Key(), Values: values}
	switch r.Operator() {
	case selection.Equals, selection.DoubleEquals:
		if _, taken := to.MatchLabels[r.Key()]; !taken && len(values) == 1 {
			if to.MatchLabels == nil {
				to.MatchLabels = map[string]string{}
			}
			to.MatchLabels[r.Key()] = values[0]
			return
		}
		e.Operator = "In"
	case selection.In:
		e.Operator = "In"
	case selection.NotIn, selection.NotEquals:
		e.Operator = "NotIn"
	case selection.Exists:
		e.Operator = "Exists"
	case selection.DoesNotExist:
		e.Operator = "DoesNotExist"
	case selection.GreaterThan, selection.LessThan:
		w.fail(sel)
		return
	default:
		w.fail(sel)
		return
	}
	to.MatchExpressions = append(to.MatchExpressions, e)
}

func (w *selectorWriter) fail(sel labels.Selector) {
	if w.err == nil {
		w.err = fmt.Errorf("selector %q cannot be written with matchLabels and matchExpressions", sel.String())
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

const (
	// systemNamespace holds our own objects.
	systemNamespace = "fairlead-system"
	// configObject is the ConfigMap that the manifests mount as cloud-config.
	configObject = "fairlead-cloud-config"
)

// source says where the cloud-config is read from.
type source struct {
	file      string
	namespace string
}

func (s *source) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&s.file, "cloud-config", "", "read the cloud-config from this file; by default from the ConfigMap "+configObject+" in the system namespace")
	fs.StringVar(&s.namespace, "system-namespace", systemNamespace, "namespace of Fairlead's own objects")
}

// config reads the cloud-config.
func (s *source) config(ctx context.Context, client kubernetes.Interface) (*cloudconfig.Config, error) {
	if s.file != "" {
		data, err := os.ReadFile(s.file)
		if err != nil {
			return nil, fmt.Errorf("read --cloud-config: %w", err)
		}
		return parseConfig(s.file, data)
	}
	where := fmt.Sprintf("ConfigMap %s/%s", s.namespace, configObject)
	cm, err := client.CoreV1().ConfigMaps(s.namespace).Get(ctx, configObject, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; give the file with --cloud-config", where, err)
	}
	if len(cm.Data) != 1 {
		return nil, fmt.Errorf("%s has %d keys, and the cloud-config is the only one; give the file with --cloud-config", where, len(cm.Data))
	}
	for key, data := range cm.Data {
		return parseConfig(where+" key "+key, []byte(data))
	}
	return nil, errors.New("unreachable: a map of one key has one")
}

func parseConfig(where string, data []byte) (*cloudconfig.Config, error) {
	cfg, err := cloudconfig.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return cfg, nil
}

// site is a metal cluster as the plugin sees it: everything that decides who
// announces what.
type site struct {
	config   *cloudconfig.Config
	services []*v1.Service
	slices   map[string][]*discoveryv1.EndpointSlice // by namespace/name of the Service
	nodes    []*v1.Node
	states   map[string]speaker.NodeState // by node; only nodes with a speaker
}

// site reads the site that the flags name, and chooses the Service named, or
// all.
func (s *source) site(ctx context.Context, flags *genericclioptions.ConfigFlags, args []string) (*site, []*v1.Service, error) {
	client, namespace, err := connect(flags)
	if err != nil {
		return nil, nil, err
	}
	all, err := readSite(ctx, client, *s)
	if err != nil {
		return nil, nil, err
	}
	services, err := all.choose(namespace, args)
	if err != nil {
		return nil, nil, err
	}
	return all, services, nil
}

// readSite reads the site.
func readSite(ctx context.Context, client kubernetes.Interface, from source) (*site, error) {
	cfg, err := from.config(ctx, client)
	if err != nil {
		return nil, err
	}
	if cfg.Metal == nil {
		return nil, errors.New("the cloud-config has no section metal: only bare metal has BGP sessions")
	}
	s := &site{config: cfg, slices: map[string][]*discoveryv1.EndpointSlice{}, states: map[string]speaker.NodeState{}}
	if err := s.readObjects(ctx, client); err != nil {
		return nil, err
	}
	states, err := client.CoreV1().ConfigMaps(from.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: speaker.LabelComponent + "=" + speaker.ComponentSpeaker,
	})
	if err != nil {
		return nil, fmt.Errorf("list the state of speakers: %w", err)
	}
	for _, cm := range states.Items {
		state, err := speaker.ParseState(cm.Data[speaker.StateKey])
		if err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
		}
		// The name is what a speaker cannot choose.
		state.Node = strings.TrimPrefix(cm.Name, speaker.StateName(""))
		s.states[state.Node] = state
	}
	return s, nil
}

func (s *site) readObjects(ctx context.Context, client kubernetes.Interface) error {
	services, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list Services: %w", err)
	}
	for i := range services.Items {
		s.services = append(s.services, &services.Items[i])
	}
	endpoints, err := client.DiscoveryV1().EndpointSlices("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list EndpointSlices: %w", err)
	}
	for i := range endpoints.Items {
		e := &endpoints.Items[i]
		key := e.Namespace + "/" + e.Labels[discoveryv1.LabelServiceName]
		s.slices[key] = append(s.slices[key], e)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list Nodes: %w", err)
	}
	for i := range nodes.Items {
		s.nodes = append(s.nodes, &nodes.Items[i])
	}
	slices.SortFunc(s.services, func(a, b *v1.Service) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.nodes, func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// announcement is what one node does with one Service.
type announcement struct {
	node     string
	decision speaker.Decision
	state    speaker.NodeState
	running  bool // the node has a speaker that has not stopped
}

// announcements computes what every node decides for the Service: the same
// pure function as the speakers', over the same objects.
func (s *site) announcements(svc *v1.Service) []announcement {
	out := make([]announcement, 0, len(s.nodes))
	for _, n := range s.nodes {
		state, running := s.states[n.Name]
		view := speaker.NewView(speaker.Facts{
			Node: speaker.NodeFrom(n.Name, n), Phase: speaker.ParsePhase(state.Phase),
			Metal: s.config.Metal, Unclassed: speaker.UnclassedOurs,
		})
		out = append(out, announcement{
			node: n.Name, state: state, running: running && state.Stopped.IsZero(),
			decision: speaker.Decide(view, svc, s.slices[svc.Namespace+"/"+svc.Name]),
		})
	}
	return out
}

// session returns the state of the node's session with the peer.
func (a announcement) session(peer string) (speaker.SessionState, bool) {
	for _, s := range a.state.Sessions {
		if s.Peer == peer {
			return s, true
		}
	}
	return speaker.SessionState{}, false
}

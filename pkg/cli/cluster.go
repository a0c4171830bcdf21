// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"

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

// site is a metal cluster as the plugin sees it: everything that decides who
// announces what.
type site struct {
	configFile
	services []*v1.Service
	slices   map[string][]*discoveryv1.EndpointSlice // by namespace/name of the Service
	nodes    []*v1.Node
	states   map[string]speaker.NodeState // by node; only nodes with a speaker
	written  map[string]time.Time         // by node: when its state was last written
	pods     []*v1.Pod                    // of speakers; none when they may not be read
	lease    leaseSeen
}

// site reads the site that the flags name, and chooses the Service named, or
// all.
func (s *source) site(ctx context.Context, flags *genericclioptions.ConfigFlags, args []string) (*site, []*v1.Service, error) {
	name := ""
	if len(args) > 0 {
		var err error
		if name, err = serviceName(args[0]); err != nil {
			return nil, nil, err
		}
	}
	client, namespace, err := connect(flags)
	if err != nil {
		return nil, nil, err
	}
	if name == "" && *flags.Namespace == "" {
		namespace = "" // all, unless one is asked for
	}
	all, err := readSite(ctx, client, *s)
	if err != nil {
		return nil, nil, err
	}
	services, err := all.choose(namespace, name)
	if err != nil {
		return nil, nil, err
	}
	return all, services, nil
}

// serviceName reads a Service's name as kubectl takes it: NAME or svc/NAME.
func serviceName(arg string) (string, error) {
	kind, name, typed := strings.Cut(arg, "/")
	if !typed {
		kind, name = "service", arg
	}
	if !slices.Contains([]string{"svc", "service", "services"}, kind) || name == "" {
		return "", fmt.Errorf("%q: must be the name of a Service, such as web or svc/web", arg)
	}
	return name, nil
}

// noService is the error for a Service that is not there.
func noService(namespace, name string) error {
	return fmt.Errorf("no Service %q in namespace %q; choose another with -n", name, namespace)
}

// readSite reads the site.
func readSite(ctx context.Context, client kubernetes.Interface, from source) (*site, error) {
	file, err := from.config(ctx, client)
	if err != nil {
		return nil, err
	}
	if file.config != nil && file.config.Metal == nil {
		return nil, errors.New("the cloud-config has no section metal, and only bare metal has BGP sessions: choose a cluster or a file that has one")
	}
	s := &site{
		configFile: file, slices: map[string][]*discoveryv1.EndpointSlice{},
		states: map[string]speaker.NodeState{}, written: map[string]time.Time{},
	}
	if err := s.readObjects(ctx, client); err != nil {
		return nil, err
	}
	if err := s.readStates(ctx, client, from.namespace); err != nil {
		return nil, err
	}
	if s.pods, err = readSpeakerPods(ctx, client, from.namespace); err != nil {
		return nil, err
	}
	s.lease, err = readLease(ctx, client)
	return s, err
}

// readStates reads what speakers say about themselves.
func (s *site) readStates(ctx context.Context, client kubernetes.Interface, namespace string) error {
	states, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: speaker.LabelComponent + "=" + speaker.ComponentSpeaker,
	})
	if err != nil {
		return fmt.Errorf("list the state of speakers: %w", err)
	}
	for _, cm := range states.Items {
		state, err := speaker.ParseState(cm.Data[speaker.StateKey])
		if err != nil {
			return fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
		}
		// The name is what a speaker cannot choose.
		state.Node = strings.TrimPrefix(cm.Name, speaker.StateName(""))
		s.states[state.Node], s.written[state.Node] = state, writtenAt(&cm)
	}
	return nil
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

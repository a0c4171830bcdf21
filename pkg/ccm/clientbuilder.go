// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"net/http"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/klog/v2"
)

// shownClients builds the clients of the upstream controllers: their writes go
// through transport, and translate what the views show.
type shownClients struct {
	cloudprovider.ControllerClientBuilder
	transport func(http.RoundTripper) http.RoundTripper
}

func (b shownClients) Config(name string) (*rest.Config, error) {
	cfg, err := b.ControllerClientBuilder.Config(name)
	if err != nil {
		return nil, err
	}
	cfg.Wrap(b.transport)
	return cfg, nil
}

// ConfigOrDie ends the process on an error, as the upstream builders do.
func (b shownClients) ConfigOrDie(name string) *rest.Config {
	cfg, err := b.Config(name)
	if err != nil {
		klog.Fatal(err) //nolint:forbidigo // what the interface promises
	}
	return cfg
}

func (b shownClients) Client(name string) (kubernetes.Interface, error) {
	cfg, err := b.Config(name)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return shownClient{client}, nil
}

// ClientOrDie ends the process on an error, as the upstream builders do.
func (b shownClients) ClientOrDie(name string) kubernetes.Interface {
	client, err := b.Client(name)
	if err != nil {
		klog.Fatal(err) //nolint:forbidigo // what the interface promises
	}
	return client
}

// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// notHeadless leaves out the EndpointSlices of headless Services, which no load
// balancer can have.
const notHeadless = "!" + v1.IsHeadlessService

// API is what a speaker asks of the API server.
type API interface {
	// Services lists and watches all Services.
	Services() cache.ListerWatcher
	// EndpointSlices lists and watches those of all Services that have an
	// address.
	EndpointSlices() cache.ListerWatcher
	// Node lists and watches one Node.
	Node(name string) cache.ListerWatcher
	// ConfigMap reads one ConfigMap.
	ConfigMap(ctx context.Context, ns, name string) (*v1.ConfigMap, error)
	// UpdateConfigMap replaces a ConfigMap, whatever its version.
	UpdateConfigMap(ctx context.Context, m *v1.ConfigMap) error
	// CreateConfigMap makes a ConfigMap.
	CreateConfigMap(ctx context.Context, m *v1.ConfigMap) error
	// Secret reads one Secret.
	Secret(ctx context.Context, ns, name string) (*v1.Secret, error)
	// CreateEvent writes an event.
	CreateEvent(ctx context.Context, e *v1.Event) error
	// PatchEvent changes an event by a JSON merge patch (RFC 7386).
	PatchEvent(ctx context.Context, ns, name string, patch []byte) error
}

// Client is API over HTTP. It knows two API groups only; client-go's clientset
// would bring all of them, and half as much memory again on every node.
type Client struct {
	core, discovery rest.Interface
}

// NewClient returns access by a configuration, which it does not change.
func NewClient(base *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	access := func(path string, gv schema.GroupVersion) (rest.Interface, error) {
		cfg := rest.CopyConfig(base)
		cfg.APIPath, cfg.GroupVersion, cfg.NegotiatedSerializer = path, &gv, codecs
		cfg.ContentType = runtime.ContentTypeProtobuf
		cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
		return rest.RESTClientFor(cfg)
	}
	core, err := access("/api", v1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	discovery, err := access("/apis", discoveryv1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	return &Client{core: core, discovery: discovery}, nil
}

// LoadClient returns access by a kubeconfig file, or the Pod's own when it is
// empty.
func LoadClient(kubeconfig, version string) (*Client, error) {
	var cfg *rest.Config
	var err error
	if kubeconfig == "" {
		cfg, err = rest.InClusterConfig()
	} else {
		cfg, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %q: %w", kubeconfig, err)
	}
	cfg.UserAgent = "fairlead-speaker/" + version
	return NewClient(cfg)
}

// Services lists and watches all Services.
func (c *Client) Services() cache.ListerWatcher {
	return cache.NewFilteredListWatchFromClient(c.core, "services", metav1.NamespaceAll, func(*metav1.ListOptions) {})
}

// EndpointSlices lists and watches those of all Services that have an address.
func (c *Client) EndpointSlices() cache.ListerWatcher {
	return cache.NewFilteredListWatchFromClient(c.discovery, "endpointslices", metav1.NamespaceAll,
		func(o *metav1.ListOptions) { o.LabelSelector = notHeadless })
}

// Node lists and watches one Node.
func (c *Client) Node(name string) cache.ListerWatcher {
	return cache.NewListWatchFromClient(c.core, "nodes", metav1.NamespaceAll,
		fields.OneTermEqualSelector("metadata.name", name))
}

// ConfigMap reads one ConfigMap.
func (c *Client) ConfigMap(ctx context.Context, ns, name string) (*v1.ConfigMap, error) {
	out := &v1.ConfigMap{}
	err := c.core.Get().Namespace(ns).Resource("configmaps").Name(name).Do(ctx).Into(out)
	return out, err
}

// UpdateConfigMap replaces a ConfigMap, whatever its version.
func (c *Client) UpdateConfigMap(ctx context.Context, m *v1.ConfigMap) error {
	return c.core.Put().Namespace(m.Namespace).Resource("configmaps").Name(m.Name).Body(m).Do(ctx).Error()
}

// CreateConfigMap makes a ConfigMap.
func (c *Client) CreateConfigMap(ctx context.Context, m *v1.ConfigMap) error {
	return c.core.Post().Namespace(m.Namespace).Resource("configmaps").Body(m).Do(ctx).Error()
}

// Secret reads one Secret.
func (c *Client) Secret(ctx context.Context, ns, name string) (*v1.Secret, error) {
	out := &v1.Secret{}
	err := c.core.Get().Namespace(ns).Resource("secrets").Name(name).Do(ctx).Into(out)
	return out, err
}

// CreateEvent writes an event.
func (c *Client) CreateEvent(ctx context.Context, e *v1.Event) error {
	return c.core.Post().Namespace(e.Namespace).Resource("events").Body(e).Do(ctx).Error()
}

// PatchEvent changes an event by a JSON merge patch (RFC 7386).
func (c *Client) PatchEvent(ctx context.Context, ns, name string, patch []byte) error {
	return c.core.Patch(types.MergePatchType).Namespace(ns).Resource("events").Name(name).Body(patch).Do(ctx).Error()
}

// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

// source is where the cloud-config comes from.
type source interface {
	// where names it in logs.
	where() string
	load(ctx context.Context) (*cloudconfig.Config, error)
	// watch is cloudconfig.Watch for the source.
	watch(ctx context.Context, apply func(*cloudconfig.Config, error))
}

// source is what the flags say.
func (o *Options) source() (source, error) {
	file := o.KubeCloudShared.CloudProvider.CloudConfigFile
	if o.KubeCloudShared.CloudProvider.Name == intent.Azure && o.Azure.wantsSecret(file) {
		conf, err := clientcmd.BuildConfigFromFlags(o.Master, o.Generic.ClientConnection.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("find the API server: %w", err)
		}
		client, err := kubernetes.NewForConfig(rest.AddUserAgent(conf, Name))
		if err != nil {
			return nil, fmt.Errorf("make a client: %w", err)
		}
		return &secretSource{client: client, flags: &o.Azure, file: file, clock: clock.RealClock{}}, nil
	}
	if file == "" && o.KubeCloudShared.CloudProvider.Name == intent.AWS {
		return &noSource{apply: o.applyAWS}, nil
	}
	if file == "" {
		return nil, errors.New("--cloud-config is empty: give the path of the cloud-config file")
	}
	return &fileSource{file: file, apply: func(conf *cloudconfig.Config) *cloudconfig.Config {
		return o.applyAWS(o.Azure.apply(conf))
	}}, nil
}

// noSource is AWS without a file: the environment and the flags say all.
type noSource struct {
	apply func(*cloudconfig.Config) *cloudconfig.Config
}

func (s *noSource) where() string { return "the defaults of AWS" }

func (s *noSource) load(context.Context) (*cloudconfig.Config, error) {
	return s.apply(cloudconfig.DefaultAWS()), nil
}

func (s *noSource) watch(ctx context.Context, apply func(*cloudconfig.Config, error)) {
	apply(s.apply(cloudconfig.DefaultAWS()), nil)
	<-ctx.Done()
}

// fileSource is a file alone.
type fileSource struct {
	file  string
	apply func(*cloudconfig.Config) *cloudconfig.Config // lets flags count
}

func (s *fileSource) where() string { return s.file }

func (s *fileSource) load(context.Context) (*cloudconfig.Config, error) {
	conf, err := cloudconfig.Load(s.file)
	if err != nil {
		return nil, fmt.Errorf("--cloud-config %s: %w", s.file, err)
	}
	return s.apply(conf), nil
}

func (s *fileSource) watch(ctx context.Context, apply func(*cloudconfig.Config, error)) {
	cloudconfig.Watch(ctx, s.file, func(conf *cloudconfig.Config, err error) { apply(s.apply(conf), err) })
}

const (
	// secretInterval is the time between two looks at a Secret.
	secretInterval = 10 * time.Second
	// secretTimeout bounds one.
	secretTimeout = 30 * time.Second
)

// secretSource is a Secret, alone or beside a file.
type secretSource struct {
	client kubernetes.Interface
	flags  *AzureFlags
	file   string // empty: the Secret alone
	clock  clock.WithTicker
}

func (s *secretSource) where() string {
	return "Secret " + s.flags.SecretNamespace + "/" + s.flags.SecretName
}

func (s *secretSource) load(ctx context.Context) (*cloudconfig.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	var file []byte
	if s.file != "" {
		data, err := os.ReadFile(s.file)
		if err != nil {
			return nil, fmt.Errorf("--cloud-config: %w", err)
		}
		file = data
	}
	flag := fmt.Sprintf("--%s %s/%s", flagSecretName, s.flags.SecretNamespace, s.flags.SecretName)
	secret, err := s.client.CoreV1().Secrets(s.flags.SecretNamespace).Get(ctx, s.flags.SecretName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	data, ok := secret.Data[s.flags.SecretKey]
	if !ok {
		return nil, fmt.Errorf("%s: the Secret has no key %s; add it, or set --cloud-config-key", flag, s.flags.SecretKey)
	}
	conf, err := cloudconfig.ParseAzure(file, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return s.flags.apply(conf), nil
}

// watch looks again and again: the right to get one Secret is all it needs.
func (s *secretSource) watch(ctx context.Context, apply func(*cloudconfig.Config, error)) {
	tick := s.clock.NewTicker(secretInterval)
	defer tick.Stop()
	var good *cloudconfig.Config
	told := ""
	for {
		conf, err := s.load(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != told:
			told = err.Error()
			apply(good, err)
		case err == nil && (told != "" || !reflect.DeepEqual(conf, good)):
			good, told = conf, ""
			apply(good, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/fairlead/fairlead/test/freeport"
)

// issuer names the control plane in ServiceAccount tokens, as in a cluster.
const issuer = "https://kubernetes.default.svc.cluster.local"

// readyPaths must all answer 200 before the API server counts as ready. The
// namespaces are made shortly after /readyz turns green, and nothing can be
// created in them before.
func readyPaths() []string {
	return []string{"/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"}
}

// makeKeys writes the certificates and the file of static tokens.
func (cp *ControlPlane) makeKeys() error {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	addrs := []netip.Addr{cp.opts.BindAddress, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	for _, cidr := range cp.opts.ServiceCIDRs {
		addrs = append(addrs, cidr.Masked().Addr().Next())
	}
	var err error
	if cp.keys, err = newPKI(cp.opts.Dir, names, append(addrs, cp.opts.ExtraSANs...)); err != nil {
		return err
	}
	cp.tokens = tokens{Admin: rand.Text(), ControllerManager: rand.Text()}
	return os.WriteFile(cp.path("tokens.csv"), cp.tokens.csv(), 0o600)
}

// startEtcd starts etcd without fsync, and again when another program took its
// port in between.
func (cp *ControlPlane) startEtcd(ctx context.Context) error {
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return retryPort(func() error {
		var err error
		if cp.etcdPort, err = freeport.Find(ctx, local); err != nil {
			return err
		}
		url := "http://" + netip.AddrPortFrom(local, cp.etcdPort).String()
		cp.etcd, err = startProcess(ctx, cp.binary("etcd"), cp.log("etcd"), []string{
			"--data-dir=" + cp.path("etcd"),
			"--listen-client-urls=" + url,
			"--advertise-client-urls=" + url,
			"--listen-peer-urls=http://127.0.0.1:0",
			"--unsafe-no-fsync",
			"--log-level=warn",
		})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, startLimit)
		defer cancel()
		return cp.etcd.await(ctx, func(ctx context.Context) error {
			return get(ctx, http.DefaultClient, url+"/readyz", "")
		})
	})
}

// startAPIServer starts the API server on a port of its choice.
func (cp *ControlPlane) startAPIServer(ctx context.Context) error {
	return retryPort(func() error {
		var err error
		if cp.apiPort, err = freeport.Find(ctx, cp.opts.BindAddress); err != nil {
			return err
		}
		return cp.runAPIServer(ctx)
	})
}

// runAPIServer starts the API server on its port and waits until it is ready.
func (cp *ControlPlane) runAPIServer(ctx context.Context) error {
	var err error
	cp.apiserver, err = startProcess(ctx, cp.binary("kube-apiserver"), cp.log("kube-apiserver"), cp.apiServerArgs())
	if err != nil {
		return err
	}
	client, err := cp.httpClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return cp.apiserver.await(ctx, func(ctx context.Context) error {
		for _, path := range readyPaths() {
			if err := get(ctx, client, cp.URL()+path, cp.tokens[Admin]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (cp *ControlPlane) apiServerArgs() []string {
	cidrs := make([]string, 0, len(cp.opts.ServiceCIDRs))
	for _, c := range cp.opts.ServiceCIDRs {
		cidrs = append(cidrs, c.String())
	}
	return append([]string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", cp.etcdPort),
		"--bind-address=" + cp.opts.BindAddress.String(),
		"--advertise-address=" + cp.opts.BindAddress.String(),
		fmt.Sprintf("--secure-port=%d", cp.apiPort),
		"--tls-cert-file=" + cp.keys.serverCert,
		"--tls-private-key-file=" + cp.keys.serverKey,
		"--client-ca-file=" + cp.keys.caCert,
		// Components that serve read these to know whom to trust. No front proxy
		// holds a certificate, so none is trusted.
		"--requestheader-client-ca-file=" + cp.keys.caCert,
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--token-auth-file=" + cp.path("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + cp.keys.accountKey,
		"--service-account-signing-key-file=" + cp.keys.accountKey,
		"--service-cluster-ip-range=" + strings.Join(cidrs, ","),
		// Endpoints may not hold a loopback address.
		"--endpoint-reconciler-type=none",
		"--allow-privileged=true",
		// A port in TIME_WAIT must not keep a restarted API server from its own.
		"--permit-address-sharing=true",
	}, cp.opts.ExtraArgs...)
}

// startManager starts kube-controller-manager. It serves nothing, so there is
// nothing to wait for: its controllers begin within about a second.
func (cp *ControlPlane) startManager(ctx context.Context) error {
	kubeconfig, err := cp.Kubeconfig(ControllerManager)
	if err != nil {
		return err
	}
	cp.manager, err = startProcess(ctx, cp.binary("kube-controller-manager"), cp.log("kube-controller-manager"), append([]string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(cp.opts.Controllers, ","),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--secure-port=0",
		// Tests that create a thousand Pods at once do not wait for a client's limit.
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--concurrent-service-endpoint-syncs=20",
	}, cp.opts.ControllerArgs...))
	return err
}

// retryPort calls start again as long as another program was faster to take
// the port.
func retryPort(start func() error) error {
	var err error
	for range startTries {
		if err = start(); !portTaken(err) {
			return err
		}
	}
	return err
}

func (cp *ControlPlane) httpClient() (*http.Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(cp.keys.caPEM) {
		return nil, errors.New("the certificate authority made just now cannot be read")
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}, nil
}

// get fails unless url answers 200.
func get(ctx context.Context, client *http.Client, url, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLife is how long a ServiceAccount's token holds. No test or demo lives
// as long.
const tokenLife = 7 * 24 * time.Hour

// User is one who has a static token.
type User string

const (
	// Admin is in system:masters: RBAC does not bind it.
	Admin User = "admin"
	// ControllerManager is kube-controller-manager, with its own RBAC roles.
	ControllerManager User = "system:kube-controller-manager"
)

// tokens are the static bearer tokens.
type tokens map[User]string

// csv is the file of kube-apiserver's --token-auth-file.
func (t tokens) csv() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s,%s,%s,system:masters\n", t[Admin], Admin, Admin)
	fmt.Fprintf(&b, "%s,%s,%s\n", t[ControllerManager], ControllerManager, ControllerManager)
	return b.Bytes()
}

// Identity is whom a ServiceAccount's token speaks for.
type Identity struct {
	// Namespace and Name are those of the ServiceAccount. Both are created when
	// missing.
	Namespace, Name string
	// Pod, when set, is the Pod of that ServiceAccount to which the token is
	// bound: the token then carries the name of the Pod and of its node, and
	// ends with the Pod.
	Pod string
	// Node is where Pod is created when it is missing. Without Node, Pod must
	// exist.
	Node string
}

// Kubeconfig writes the kubeconfig of a user with a static token and returns
// its path.
func (cp *ControlPlane) Kubeconfig(user User) (string, error) {
	token, ok := cp.tokens[user]
	if !ok {
		return "", fmt.Errorf("user %q has no token: must be %q or %q", user, Admin, ControllerManager)
	}
	return cp.writeKubeconfig(string(user), "", token)
}

// ServiceAccountConfig is the access of a ServiceAccount by a token that the
// API server issued. RBAC grants it what the cluster's roles say, and nothing
// else.
func (cp *ControlPlane) ServiceAccountConfig(ctx context.Context, id Identity) (*rest.Config, error) {
	token, err := cp.issueToken(ctx, id)
	if err != nil {
		return nil, err
	}
	return cp.config(token), nil
}

// ServiceAccountKubeconfig writes the kubeconfig of a ServiceAccount, with a
// new token, and returns its path.
func (cp *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, id Identity) (string, error) {
	token, err := cp.issueToken(ctx, id)
	if err != nil {
		return "", err
	}
	name := id.Namespace + "." + id.Name
	if id.Pod != "" {
		name += "." + id.Pod
	}
	return cp.writeKubeconfig(name, id.Namespace, token)
}

// issueToken creates what id names and is missing, and asks for a token.
func (cp *ControlPlane) issueToken(ctx context.Context, id Identity) (string, error) {
	client, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		return "", err
	}
	if err := createMissing(ctx, client, id); err != nil {
		return "", fmt.Errorf("prepare ServiceAccount %s/%s: %w", id.Namespace, id.Name, err)
	}
	seconds := int64(tokenLife.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if id.Pod != "" {
		pod, err := client.CoreV1().Pods(id.Namespace).Get(ctx, id.Pod, metav1.GetOptions{})
		if err != nil {
			return "", fmt.Errorf("find the Pod for the token of ServiceAccount %s/%s: %w; create it, or set Node", id.Namespace, id.Name, err)
		}
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
		}
	}
	answer, err := client.CoreV1().ServiceAccounts(id.Namespace).CreateToken(ctx, id.Name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("ask for a token of ServiceAccount %s/%s: %w", id.Namespace, id.Name, err)
	}
	return answer.Status.Token, nil
}

func createMissing(ctx context.Context, client kubernetes.Interface, id Identity) error {
	core := client.CoreV1()
	_, err := core.Namespaces().Create(ctx, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: id.Namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	meta := metav1.ObjectMeta{Namespace: id.Namespace, Name: id.Name}
	_, err = core.ServiceAccounts(id.Namespace).Create(ctx, &v1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if id.Pod == "" || id.Node == "" {
		return nil
	}
	_, err = core.Pods(id.Namespace).Create(ctx, &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: id.Namespace, Name: id.Pod},
		Spec: v1.PodSpec{
			ServiceAccountName: id.Name,
			NodeName:           id.Node,
			Containers:         []v1.Container{{Name: "main", Image: "none"}},
		},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// writeKubeconfig writes a kubeconfig with one context, named as its user.
func (cp *ControlPlane) writeKubeconfig(name, namespace, token string) (string, error) {
	file := cp.path(name + ".kubeconfig")
	const cluster = "fairlead-test"
	return file, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{cluster: {Server: cp.URL(), CertificateAuthorityData: cp.keys.caPEM}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: cluster, AuthInfo: name, Namespace: namespace}},
		CurrentContext: name,
	}, file)
}

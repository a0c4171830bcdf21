// SPDX-License-Identifier: Apache-2.0

// Package e2e tests what is shipped against a real control plane: the
// manifests, and the binaries with the rights that the manifests give them. It
// needs `make controlplane` and no root.
package e2e

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Vets every Go module below the root, and checks that its go.mod names all
# that its packages and tools need. It changes no file.
set -eu
cd "$(dirname "$0")/.."
find . -mindepth 2 -name go.mod -not -path '*/testdata/*' -not -path './bin/*' | sort | while read -r mod; do
	dir=$(dirname "$mod")
	echo "vet-nested: $dir"
	(
		cd "$dir"
		export GOWORK=off GOFLAGS="${GOFLAGS:-} -mod=readonly"
		packages=$(go list ./... 2>/dev/null)
		# shellcheck disable=SC2086 # one word a package
		[ -z "$packages" ] || go vet $packages
		go list -deps tool >/dev/null
	)
done

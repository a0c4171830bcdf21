#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz test of the module for the time given, one after the other.
set -eu
cd "$(dirname "$0")/.."
time=${1:?usage: hack/fuzz.sh TIME, as in 10s}
found=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' cmd pkg test 2>/dev/null | sort); do
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=1
		echo "fuzz: $name in $(dirname "$file")"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "./$(dirname "$file")"
	done
done
[ "$found" = 1 ] || echo "fuzz: there are no fuzz tests"

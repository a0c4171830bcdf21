#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks licence headers, go.mod, and that generated files are up to date. The
# last regenerates them, so after a failure they are fresh.
set -eu
cd "$(dirname "$0")/.."
failed=0

# go_files lists the Go files of the project, those not yet committed too.
go_files() {
	find . -name '*.go' -not -path './bin/*' -not -path './.git/*' -not -path '*/testdata/*' | sort
}

# sums lists the content of all files.
sums() {
	find . \( -path ./.git -o -path ./bin \) -prune -o -type f -exec cksum {} + | sort -k 3
}

bare=$(go_files | while read -r f; do
	[ "$(head -n 1 "$f")" = '// SPDX-License-Identifier: Apache-2.0' ] || echo "  $f"
done)
if [ -n "$bare" ]; then
	printf 'verify: these files do not begin with "// SPDX-License-Identifier: Apache-2.0":\n%s\n' "$bare"
	failed=1
fi

unformatted=$(go_files | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'verify: not formatted, run `make fmt`:\n%s\n' "$unformatted"
	failed=1
fi

before=$(mktemp)
after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT
sums >"$before"
go generate ./...
sums >"$after"
stale=$(comm -3 "$before" "$after" 2>/dev/null | awk '{print "  " $3}' | sort -u)
if [ -n "$stale" ]; then
	printf 'verify: stale, and written anew just now; look at them and commit them:\n%s\n' "$stale"
	failed=1
fi

if ! untidy=$(go mod tidy -diff 2>&1); then
	printf 'verify: go.mod or go.sum is not tidy, run `go mod tidy`:\n%s\n' "$untidy"
	failed=1
fi

[ "$failed" = 0 ] && echo "verify: all is in order"
exit "$failed"

# SPDX-License-Identifier: Apache-2.0
#
# Needed: Go, GNU make and a POSIX shell. `make help` lists what there is.

SHELL := /bin/sh
GO ?= go
.DEFAULT_GOAL := help

# version is what the binaries say they are. component-base wants vX.Y.Z first.
version := $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-$$(git describe --always --dirty 2>/dev/null || echo unknown))
ldflags := -s -w -X k8s.io/component-base/version.gitVersion=$(version)
# grpcnotrace leaves out gRPC's golang.org/x/net/trace. Its templates call methods
# by reflection, for which the linker keeps every method of every type: 30 MB of
# the controller manager's 75.
tags := grpcnotrace
commands := $(notdir $(wildcard cmd/*))
lint := $(GO) tool -modfile=go.tools.mod golangci-lint

# race is -race where cgo works, which it needs, and else nothing.
race := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null && echo -race)

# Things to set on the command line, as in `make fuzz FUZZTIME=1m`.
FUZZTIME ?= 10s
KEEP ?=
CLOUD ?=
TESTFLAGS ?=
PKG ?= ./...
BENCHFLAGS ?=
SOAKTIME ?= 10m

##@ Build

.PHONY: build
build: ## Build the three binaries into bin/.
	@mkdir -p bin
	@for c in $(commands); do \
		echo "build: $$c (a minute or two the first time)"; \
		CGO_ENABLED=0 $(GO) build -trimpath -tags '$(tags)' -ldflags '$(ldflags)' -o bin/$$c ./cmd/$$c || exit 1; \
	done

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver and more for tests into bin/controlplane (5 min at first, then cached).
	@$(GO) run ./hack/buildcontrolplane

.PHONY: clean
clean: ## Delete what was built. Go's cache stays.
	rm -rf bin dist

##@ Try

.PHONY: demo
demo: controlplane build ## Run the whole path on loopback, without root. CLOUD=azure or aws: on a simulated cloud. KEEP=1 leaves it running.
	@[ '$(CLOUD)' != azure ] || CGO_ENABLED=0 $(GO) build -o bin/azuresim ./test/cloud/azure/cmd/azuresim
	@[ '$(CLOUD)' != aws ] || CGO_ENABLED=0 $(GO) build -o bin/awssim ./test/cloud/aws/cmd/awssim
	@KEEP='$(KEEP)' CLOUD='$(CLOUD)' $(GO) run ./test/demo up

.PHONY: demo-down
demo-down: ## End a demo that was kept.
	@$(GO) run ./test/demo down

##@ Check

.PHONY: test
test: ## Run everything that CI runs: tests, rack, vet, generated files, lint.
	@hack/install-tools.sh
	@$(MAKE) --no-print-directory controlplane
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory vet-nested
	@$(MAKE) --no-print-directory rack-if-able
	@$(MAKE) --no-print-directory verify
	@$(MAKE) --no-print-directory lint
	@echo "make test: all passed"

.PHONY: unit
unit: controlplane ## Run the Go tests of PKG (./...), with the race detector where there is a C compiler.
	@[ -n '$(race)' ] || echo "unit: left out: the race detector, which needs a C compiler"
	$(GO) test $(race) -shuffle=on -timeout 40m $(TESTFLAGS) $(PKG)

.PHONY: vet-nested
vet-nested: ## Vet the nested modules and check that they build with what they pin.
	@hack/vet-nested.sh

.PHONY: rack
rack: controlplane build ## Run the tests with real routers in network namespaces. Needs root and FRR.
	FAIRLEAD_RACK=1 $(GO) test -count=1 -v -timeout 40m $(TESTFLAGS) ./test/rack/...

.PHONY: rack-if-able
rack-if-able:
	@if [ ! -d test/rack ]; then echo "rack: left out: there is no test/rack"; \
	elif why=$$(hack/install-tools.sh --missing); then $(MAKE) --no-print-directory rack TESTFLAGS='-short $(TESTFLAGS)'; \
	else echo "rack: left out: $$why"; fi

.PHONY: lint
lint: ## Run the linters. Their first build takes some minutes.
	$(lint) run ./...

.PHONY: fmt
fmt: ## Format all Go files as lint wants them.
	$(lint) fmt ./...

.PHONY: verify
verify: ## Check that generated files are fresh, licence headers are there, and modules are tidy.
	@hack/verify.sh

.PHONY: fuzz
fuzz: ## Fuzz every fuzz test for FUZZTIME (10s) each.
	@hack/fuzz.sh '$(FUZZTIME)'

##@ Measure

.PHONY: bench
bench: controlplane build ## Measure what docs/benchmarks.md holds. Needs root and FRR.
	$(GO) run ./test/bench $(BENCHFLAGS)

.PHONY: soak-azure
soak-azure: controlplane ## Kill the controller at every write to a simulated Azure, and spoil every write (15 min).
	FAIRLEAD_SOAK=1 $(GO) test -count=1 -v -timeout 2h $(TESTFLAGS) ./test/cloud/azure/rig -run '^TestDisturbedAtEveryWrite$$'
	FAIRLEAD_SOAK=1 $(GO) test -count=1 -v -timeout 2h $(TESTFLAGS) ./test/e2e -run '^TestKilledManager$$/^Azure$$'

.PHONY: soak-aws
soak-aws: controlplane ## The same on a simulated AWS (30 min).
	FAIRLEAD_SOAK=1 $(GO) test -count=1 -v -timeout 2h $(TESTFLAGS) ./test/cloud/aws/rig -run '^TestDisturbedAtEveryWrite$$'
	FAIRLEAD_SOAK=1 $(GO) test -count=1 -v -timeout 2h $(TESTFLAGS) ./test/e2e -run '^TestKilledManager$$/^AWS$$'

.PHONY: soak
soak: controlplane build soak-azure soak-aws ## Run under churn and restarts for SOAKTIME (10m). Needs root and FRR.
	$(GO) run ./test/bench soak -duration '$(SOAKTIME)' $(BENCHFLAGS)

##@ Write

.PHONY: generate
generate: ## Write all files that are generated from source.
	$(GO) generate ./...

.PHONY: docs
docs: generate ## Write the reference pages in docs/ (the same as generate).

##@ Help

.PHONY: help
help: ## Show this.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# SPDX-License-Identifier: Apache-2.0

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY pkg pkg
ARG TARGETOS TARGETARCH VERSION=v0.0.0-unknown
RUN mkdir /out && for c in fairlead-controller-manager fairlead-speaker kubectl-fairlead; do \
      CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -tags grpcnotrace \
        -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$VERSION" \
        -o /out/$c ./cmd/$c || exit 1; \
    done

# One image holds all three; the manifests name the command. It has no shell,
# runs as another than root, and writes nothing to its file system.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/fairlead-controller-manager"]

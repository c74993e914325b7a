#!/usr/bin/env bash
# Builds the Debian package: build.sh VERSION [ARCH] prints its path. It needs Go alone; nfpm comes from the module proxy.
set -euo pipefail
cd "$(dirname "$0")"
export VERSION=${1:?usage: build.sh VERSION [ARCH]} ARCH=${2:-$(go env GOARCH)}
mkdir -p dist
CGO_ENABLED=0 GOARCH=$ARCH go build -trimpath -ldflags "-s -w -X github.com/gomaas/maas/cmd/maas/internal/cli.Version=$VERSION" -o dist/maas ..
go run .. man >dist/maas.1
gzip -9nf dist/maas.1
go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0 package --config nfpm.yaml --packager deb --target dist/ | tail -n 1

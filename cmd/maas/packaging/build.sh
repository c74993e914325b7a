#!/usr/bin/env bash
# Builds the Debian package: build.sh VERSION DIR prints its path. GOARCH says for which machines. It needs Go alone; nfpm
# comes from the module proxy, and is built the first time.
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: build.sh VERSION DIR'
export VERSION=${1:?$usage} OUT=${2:?$usage}
export ARCH=${GOARCH:-$(go env GOARCH)}
link="-s -w -X github.com/gomaas/maas/cmd/maas/internal/cli.Version=$VERSION"
CGO_ENABLED=0 go build -trimpath -ldflags "$link" -o "$OUT/maas" ..
sed 's/^\([^#]\)/#\1/' ../internal/config/maas.example.yaml >"$OUT/maas.yaml" # everything is a default
GOARCH='' go run .. man | gzip -9n >"$OUT/maas.1.gz"
GOARCH='' go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0 package --config nfpm.yaml --packager deb --target "$OUT/" >&2
ls "$OUT"/*.deb

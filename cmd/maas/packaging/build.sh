#!/usr/bin/env bash
# Builds the Debian package: build.sh VERSION DIR prints its path. GOARCH says for which machines. It needs Go alone; nfpm
# comes from the module proxy, and is built the first time.
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: build.sh VERSION DIR'
export VERSION=${1:?$usage} OUT=${2:?$usage} CGO_ENABLED=0 GOFLAGS=-trimpath
export ARCH=${GOARCH:-$(go env GOARCH)}
unset GOARCH
link="-s -w -X github.com/gomaas/maas/cmd/maas/internal/cli.Version=$VERSION"
GOARCH=$ARCH go build -ldflags "$link" -o "$OUT/maas" ..
here=$OUT/maas
if [ "$ARCH" != "$(go env GOHOSTARCH)" ]; then
	here=$OUT/maas-here
	go build -ldflags "$link" -o "$here" ..
fi
"$here" man | gzip -9n >"$OUT/maas.1.gz"
sed 's/^\([^#]\)/#\1/' ../internal/config/maas.example.yaml >"$OUT/maas.yaml" # everything is a default
go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0 package --config nfpm.yaml --packager deb --target "$OUT/" >&2
ls "$OUT"/*.deb

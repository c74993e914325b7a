#!/usr/bin/env bash
# Builds a release: build.sh VERSION DIR [ARCH...] writes into DIR, for each processor (this host's if none is named), a Debian
# package, an archive and a bill of materials, and for all of them one OCI image and SHA256SUMS. It needs Go alone; nfpm and
# cyclonedx-gomod come from the module proxy, and are built the first time. The same source gives the same octets.
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: build.sh VERSION DIR [ARCH...]'
export VERSION=${1:?$usage} OUT CGO_ENABLED=0 GOFLAGS=-trimpath
mkdir -p "${2:?$usage}" && OUT=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- "$(go env GOARCH)"
unset GOARCH
# Files are as old as the commit, or as SOURCE_DATE_EPOCH says.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH LC_ALL=C
umask 022

link="-s -w -X github.com/gomaas/maas/cmd/maas/internal/cli.Version=$VERSION"
parts=$OUT/parts
here=$parts/maas-here # to write what the program says of itself
go build -buildvcs=false -ldflags "$link" -o "$here" ..
mkdir -p "$parts/completion" "$parts/units"
"$here" man | gzip -9n >"$parts/maas.1.gz"
"$here" completion bash >"$parts/completion/maas"
"$here" completion zsh >"$parts/completion/_maas"
"$here" completion fish >"$parts/completion/maas.fish"
sed 's/^\([^#]\)/#\1/' ../internal/config/maas.example.yaml >"$parts/maas.yaml" # everything is a default
cp gomaas*.service gomaas*.socket gomaas.sysusers "$parts/units"
cp ../../../{LICENSE,README.md,CHANGELOG.md,SECURITY.md} "$parts"
binaries=()
for ARCH; do
	export ARCH
	dir=$parts/$ARCH
	GOARCH=$ARCH go build -buildvcs=false -ldflags "$link" -o "$dir/maas" ..
	binaries+=("$ARCH=$dir/maas")
	name=gomaas-$VERSION-linux-$ARCH
	go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 bin -json -noserial -version "$VERSION" \
		-output "$OUT/$name.cdx.json" "$dir/maas" 2>/dev/null
	sed -i '/"timestamp": /d' "$OUT/$name.cdx.json"
	go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0 package --config nfpm.yaml --packager deb --target "$OUT/" >&2
	tar --create --file - --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --transform "s|^\.|$name|" \
		-C "$dir" ./maas -C "$parts" ./maas.1.gz ./maas.yaml ./completion ./units ./LICENSE ./README.md ./CHANGELOG.md ./SECURITY.md |
		gzip -9n >"$OUT/$name.tar.gz"
done
(cd image && go run . "$VERSION" "$OUT/gomaas-$VERSION-oci.tar" "${binaries[@]}")
rm -r "$parts"
(cd "$OUT" && sha256sum gomaas* >SHA256SUMS && cat SHA256SUMS)

#!/bin/sh
# Regenerates the Go packages of idl/ from idl/thrift. The result is committed;
# this script reproduces it byte for byte with the compiler version below.
set -eu

want="Thrift version 0.17.0"
root=$(cd "$(dirname "$0")/.." && pwd)
module=github.com/arionkv/arion

have=$(thrift --version)
if [ "$have" != "$want" ]; then
	echo "gen: need $want, have $have" >&2
	exit 1
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

for file in "$root"/idl/thrift/*.thrift; do
	# The types of dsn.thrift are hand-written in idl/base.
	[ "$(basename "$file")" = dsn.thrift ] && continue
	thrift -strict -out "$out" -gen "go:package_prefix=$module/idl/,skip_remote" "$file"
done

for package in rrdb admin arion; do
	# A container's count comes from the peer and must not size an allocation;
	# this compiler trusts it, later ones call PreallocSize.
	sed -i -E \
		-e 's/make\((\[\][^,]+), 0, size\)/make(\1, 0, thrift.PreallocSize(size))/' \
		-e 's/make\((map\[.*), size\)/make(\1, thrift.PreallocSize(size))/' \
		"$out/$package"/*.go
	# An optional field with a default counts as set from the start in C++, so
	# its peers always write it and ours do too. Go would leave the default out.
	sed -i -E 's/^[[:space:]]+return p\.[A-Za-z0-9]+ != [A-Za-z0-9]+_[A-Za-z0-9]+_DEFAULT$/\treturn true/' \
		"$out/$package"/*.go
	# Guards against unused imports; our files use all of theirs, and idl/base
	# has no such name.
	rm "$out/$package/GoUnusedProtection__.go" "$out/$package"/*-consts.go
	sed -i '/GoUnusedProtection__/d' "$out/$package"/*.go
	gofmt -w "$out/$package"
	rm -rf "${root:?}/idl/$package"
	cp -r "$out/$package" "$root/idl/$package"
done

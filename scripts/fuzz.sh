#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while: fuzz.sh TAGS TIME.
set -euo pipefail
cd "$(dirname "$0")/.."

tags=$1 time=$2
git grep -l '^func Fuzz' -- '*_test.go' | while read -r file; do
  package=./$(dirname "$file")
  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
    echo "== $package $target"
    go test -tags "$tags" -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null
  done
done

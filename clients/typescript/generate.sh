#!/usr/bin/env bash
# Makes the TypeScript client of an OpenAPI document in build/clients/typescript: generate.sh DOCUMENT
# Needs Node 20 and npm; what npm installs stays there and is installed again when it changes.
set -euo pipefail
document=$(realpath "$1")
cd "$(dirname "$0")"
root=$(realpath ../..)
build=$root/build/clients/typescript

mkdir -p "$build"
rm -rf "$build/src" "$build/tests" "$build/dist"
cp -R src tests tsconfig.json "$build"
cp "$root/src/tenantry/realtime/client.js" "$build/src/stream.js"
cp "$document" "$build/openapi.json"
if ! cmp -s package.json "$build/package.json" || [ ! -f "$build/node_modules/.installed" ]; then
    cp package.json "$build"
    npm install --prefix "$build" --silent --no-audit --no-fund --no-package-lock --ignore-scripts
    touch "$build/node_modules/.installed"
fi
cd "$build"
npm run --silent generate
npm run --silent build
cp src/stream.js src/stream.d.ts dist

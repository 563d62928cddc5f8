#!/bin/sh
# Writes the three locks beside this file from the ranges in pyproject.toml, and that of the peer
# that is measured on FastAPI: `make lock`.
# They are pinned by hash and name no download address, so any mirror of the package index serves.
set -eu
cd "$(dirname "$0")/.."
uv="${UV:-.venv/bin/uv}"
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
        --no-annotate --no-header --no-emit-index-url --no-emit-find-links "$@"
}
lock() {
    name=$1; shift
    compile --group build "$@" pyproject.toml --output-file "requirements/$name.txt"
}
lock server
lock embedded --extra embedded
lock dev --extra embedded --group dev
compile bench/peers/fastapi/requirements.in --output-file bench/peers/fastapi/requirements.txt

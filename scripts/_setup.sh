# Sourced by the commands in this folder. Leaves ROOT, the repository, and PYTHON, the interpreter
# of ROOT/.venv, in which rnnport and its dev tools are installed. Changes no directory.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
PYTHON="$ROOT/.venv/bin/python"

say() { printf '» %s\n' "$*" >&2; }

# Runs a command quietly; shows what it printed if it fails.
quietly() {
  local log="$ROOT/.cache/setup.log"
  mkdir -p "$ROOT/.cache"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    say "failed; all of its output is in .cache/setup.log"
    exit 1
  fi
}

# A Python that TensorFlow has builds for. A name on PATH may be an empty shim, so each is run.
find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
      >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  say "needs Python 3.11, 3.12 or 3.13; python3 is $(python3 --version 2>&1 || echo missing)." \
    "Install one of them so that python3, python3.13, python3.12 or python3.11 starts it."
  return 1
}

# What the environment was made from; the folder too, since environments do not survive a move.
fingerprint() {
  { cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" && printf '%s' "$ROOT"; } | cksum
}

setup() {
  local stamp="$ROOT/.venv/rnnport.stamp" wanted found
  wanted="$(fingerprint)"
  if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
    found="$(find_python)" || exit 1
    say "making .venv with $("$found" --version 2>&1) and installing rnnport[dev]:" \
      "some minutes, about 3 GB"
    quietly "$found" -m venv --clear "$ROOT/.venv"
  else
    say "bringing .venv up to date with pyproject.toml and constraints.txt"
  fi
  quietly "$PYTHON" -m pip install --disable-pip-version-check --no-input \
    -c "$ROOT/constraints.txt" -e "$ROOT[dev]"
  web_runtime
  printf '%s\n' "$wanted" >"$stamp"
}

# onnxruntime-web for the tests of provider "web", which are skipped without it: no Node, or no net.
web_runtime() {
  local folder="$ROOT/.cache/web" version
  version="$(sed -n 's/^WEB_VERSION = "\(.*\)"$/\1/p' "$ROOT/rnnport/runtime/backends/web.py")"
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    return
  fi
  if grep -q "\"version\": \"$version\"" \
    "$folder/node_modules/onnxruntime-web/package.json" 2>/dev/null; then
    return
  fi
  say "fetching onnxruntime-web $version into .cache/web, about 150 MB"
  mkdir -p "$folder"
  npm install --prefix "$folder" --no-save --no-package-lock --no-audit --no-fund \
    --ignore-scripts --fetch-retries=1 --fetch-timeout=60000 "onnxruntime-web@$version" \
    >"$folder/npm.log" 2>&1 || say "that failed (.cache/web/npm.log); its tests will be skipped"
}

setup

#!/usr/bin/env bash
# Makes a virtual environment with the locked dependencies: setup.sh FOLDER
#
# uv installs in seconds; where it cannot (an index or a certificate that only pip is
# told of), pip installs the same locked and hashed list.
set -euo pipefail
# What make's targets print belongs to them; this is talk on the side.
exec 1>&2

venv=$1
lock=requirements-dev.lock
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Python 3.11 or newer is needed; '$python' is $("$python" --version 2>&1)." >&2
  exit 1
fi
# Also mends an environment that was moved, or whose Python has gone.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  echo "Making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi

pip_install() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@"
}

uv_install() {
  # uv does not read pip's settings; the one that matters is the index.
  local index
  index=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
  index=${PIP_INDEX_URL:-$index}
  if [ -n "$index" ]; then export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}; fi
  "$venv/bin/uv" pip install --quiet --system-certs --compile-bytecode \
    --python "$venv/bin/python" --require-hashes --requirement "$lock"
}

only_uv=$(mktemp)
trap 'rm -f "$only_uv"' EXIT
# The lock's entry of uv: its line and the hashes that continue it.
sed -n '/^uv==/,/[^\\]$/p' "$lock" >"$only_uv"

echo "Installing $lock"
if ! { pip_install --only-binary :all: --requirement "$only_uv" && uv_install; }; then
  echo "uv could not; installing with pip"
  pip_install --compile --requirement "$lock"
fi

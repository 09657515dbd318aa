#!/bin/sh
# Makes .venv: the versions of uv.lock, installed by pip. uv only translates the lock, offline: it does not read
# pip's configuration, and pip's configured index may be the only one in reach.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

can_install() {
    "$1" -c 'import venv, ensurepip' >/dev/null 2>&1 || "$1" -m pip --version >/dev/null 2>&1
}

# A name on PATH proves nothing (version managers leave shims for interpreters that are switched off): run it.
choose_python() {
    found=""
    for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        is_new_enough "$candidate" || continue
        found=$candidate
        if can_install "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    [ -z "$found" ] || fail "$found has neither ensurepip nor pip; install your system's python3-venv package, or name another interpreter: make PYTHON=/path/to/python3"
    fail "Python 3.11 or newer is needed and ${PYTHON:-python3} is not one; install it, or name it: make PYTHON=/path/to/python3.11"
}

# Debian leaves ensurepip out of a bare python3; the pip beside it can fill the new environment instead.
make_environment() {
    if "$1" -c 'import ensurepip' >/dev/null 2>&1; then
        "$1" -m venv --clear .venv
    else
        "$1" -m venv --clear --without-pip .venv
        "$1" -m pip --python .venv/bin/python install -qq pip
    fi
}

# -qq: pip warns about every configured link that does not hold a package; errors still show.
install() {
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input "$@"
}

locked_version() {
    awk -v name="name = \"$1\"" '$0 == name { getline; gsub(/version = |"/, ""); print; exit }' uv.lock
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(choose_python)
    echo "setup: making .venv with $("$python" --version), about half a minute ..." >&2
    make_environment "$python"
fi
install "uv==$(locked_version uv)"
.venv/bin/python -m uv export --frozen --offline --quiet --all-extras --all-groups --no-hashes --no-emit-project \
    --no-python-downloads --python .venv/bin/python --output-file .venv/locked.txt
install --requirement .venv/locked.txt
install --no-deps --no-build-isolation --editable .

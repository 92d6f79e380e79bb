#!/bin/sh
# Sets this machine up: system packages, the virtual environment .venv, and Familiar in it.
#
#     tools/setup.sh talk     what talking needs
#     tools/setup.sh test     that, and what the tests and checks need
#
# Does only what is missing, says what it does, and is quick when nothing is. System packages are installed through apt
# by root or with sudo; whoever may not gets the line to run. $PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

purpose=${1:-talk}
case $purpose in
    talk) extras=starter ;;
    test) extras=starter,dev ;;
    *) die "usage: tools/setup.sh talk|test" ;;
esac

# System packages ------------------------------------------------------------------------------------------------------

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed: install it, or set PYTHON to it"
}

has_package() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# Prints the missing packages without which nothing can be built.
missing_for_building() {
    [ -x .venv/bin/python ] || "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    [ -n "$(find .venv -name libllama.so 2>/dev/null | head -n 1)" ] && return
    command -v c++ >/dev/null && command -v make >/dev/null || echo build-essential
    command -v cmake >/dev/null || echo cmake
}

# Prints the missing packages without which there is no sound, or without which tests are skipped.
missing_for_sound() {
    wanted="libportaudio2 libasound2-plugins"
    [ "$purpose" = test ] && wanted="$wanted pulseaudio pulseaudio-utils espeak-ng"
    for package in $wanted; do
        has_package "$package" || echo "$package"
    done
}

# Installs the packages named, or says how to and fails.
apt_install() {
    line="apt-get install -y --no-install-recommends $*"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo=sudo
    else
        say "please have these packages installed: sudo $line"
        return 1
    fi
    say "installing system packages: $*"
    $sudo apt-get update -qq >&2
    # shellcheck disable=SC2086 # the words of the line are its arguments
    $sudo env DEBIAN_FRONTEND=noninteractive $line -qq >&2
}

python=$(find_python)
building=$(missing_for_building | tr '\n' ' ')
if command -v apt-get >/dev/null; then
    sound=$(missing_for_sound | tr '\n' ' ')
    if [ -n "$building$sound" ]; then
        # shellcheck disable=SC2086 # a list of packages
        apt_install $building $sound || [ -z "$building" ] || die "these are needed to go on: $building"
    fi
elif [ -n "$building" ]; then
    die "please install what your system calls these: $building"
fi

# The virtual environment ----------------------------------------------------------------------------------------------

if [ ! -x .venv/bin/python ]; then
    say "making the virtual environment .venv with $("$python" --version)"
    "$python" -m venv .venv
fi

# A stamp holds the hash of the pyproject.toml that was installed: a changed one is installed again, nothing else is.
# What the tests need includes what talking needs.
wanted=$(sha256sum pyproject.toml | cut -d' ' -f1)
is_installed() { [ "$(cat ".venv/.familiar-$1" 2>/dev/null)" = "$wanted" ]; }
if ! is_installed "$purpose" && ! is_installed test; then
    if ! .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("llama_cpp") is None)'; then
        say "installing Familiar; llama.cpp is built for this very processor: about five minutes on two cores"
    else
        say "installing Familiar and what it needs into .venv"
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --editable ".[$extras]"
    echo "$wanted" >".venv/.familiar-$purpose"
fi

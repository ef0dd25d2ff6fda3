#!/bin/sh
# Gets the libraries of NVIDIA that this package may not contain, after their licences were accepted:
#   sh get-nvidia-libraries.sh [--accept-licence [--download DIR | --from DIR]]
set -u

case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
partial=$here/.nvidia.partial

# Calls $1 for every wheel with: 1 what it is, 2 its licence, 3 project, 4 version, 5 platform, 6 file, 7 SHA-256,
# 8 megabytes to download, 9 megabytes when unpacked; then for every file in it: SHA-256, path, where it goes.
each() {
@WHEELS@
}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# $1: file, $2: the SHA-256 that it must have
verify() {
    sum=$(sha256sum <"$1") || fail "$1 cannot be read"
    [ "${sum%% *}" = "$2" ] || fail "$1 is not the file that this package was made for: expected SHA-256 $2, got ${sum%% *}"
}

is_there() {
    [ -f "$1" ] && sum=$(sha256sum <"$1") && [ "${sum%% *}" = "$2" ]
}

# $@: SHA-256, path and place of every file of a wheel
are_installed() {
    while [ $# -gt 0 ]; do
        is_there "$here/$3" "$1" || return 1
        shift 3
    done
}

describe() {
    cat <<TEXT

  $1 $4: $8 MB to download, $9 MB when unpacked
    licence:  $2
    package:  $3, version $4, from the Python package index
    file:     $6
    SHA-256:  $7
TEXT
    shift 9
    while [ $# -gt 0 ]; do
        printf '    goes to:  %s\n' "$here/$3"
        shift 3
    done
}

explain() {
    cat <<TEXT
This package does not contain the libraries of NVIDIA, because their licences do not let others pass them on:
TEXT
    each describe
    cat <<TEXT

Read the licences in the files above or on NVIDIA's site. If you accept them:
  sh $0 --accept-licence                 downloads the files with pip and unpacks them
  sh $0 --accept-licence --download DIR  only downloads the files into a folder
  sh $0 --accept-licence --from DIR      takes the files from a folder, without a network

For a machine without a network: run the first line elsewhere and carry the whole package over, or run the second line
elsewhere, carry DIR, and run the third line there, which needs unzip or python3.
@NOTES@The driver of the GPU is installed with the system; it must support CUDA 13.0 (580 or newer).
TEXT
}

# $1: project, $2: version, $3: platform, $4: file, $5: SHA-256; afterwards the file is in the partial folder
download() {
    python3 -m pip --version >/dev/null 2>&1 ||
        fail "pip is not installed: download $4 on another machine and use --from DIR"
    python3 -m pip download --quiet --no-deps --no-cache-dir --no-input --disable-pip-version-check \
        --only-binary :all: --implementation cp --python-version 3.11 --abi cp311 \
        --platform "$3" --dest "$partial" "$1==$2" ||
        fail "pip cannot download $1 $2: check the network, or use --from DIR"
    [ -f "$partial/$4" ] || fail "pip downloaded another file than $4: check which package index it uses"
    verify "$partial/$4" "$5"
}

keep() {
    if is_there "$folder/$6" "$7"; then
        printf 'is there:   %s\n' "$folder/$6"
        return
    fi
    download "$3" "$4" "$5" "$6" "$7"
    mv -f "$partial/$6" "$folder/$6" || fail "$6 cannot be moved to $folder: is there room?"
    printf 'downloaded: %s\n' "$folder/$6"
}

# Asks for every wheel before the first is unpacked.
expect() {
    wheel=$6
    shift 9
    are_installed "$@" || [ -f "$folder/$wheel" ] ||
        fail "$folder/$wheel is missing: get it with --download DIR on a machine with a network"
}

unpack() {
    if command -v unzip >/dev/null 2>&1; then
        unzip -q "$1" -d "$partial/unpacked" || fail "$1 cannot be unpacked: is there room?"
    elif command -v python3 >/dev/null 2>&1; then
        python3 -m zipfile -e "$1" "$partial/unpacked" || fail "$1 cannot be unpacked: is there room?"
    else
        fail "$1 is a zip archive, and neither unzip nor python3 is installed to unpack it"
    fi
}

install() {
    title="$1 $4"
    project=$3 version=$4 platform=$5 wheel=$6 wheel_sha256=$7
    shift 9
    if are_installed "$@"; then
        printf 'is there:  %s\n' "$title"
        return
    fi
    if [ -n "$folder" ]; then
        verify "$folder/$wheel" "$wheel_sha256"
        unpack "$folder/$wheel"
    else
        download "$project" "$version" "$platform" "$wheel" "$wheel_sha256"
        unpack "$partial/$wheel"
        rm -f "$partial/$wheel"
    fi
    while [ $# -gt 0 ]; do
        verify "$partial/unpacked/$2" "$1"
        { mkdir -p "$here/${3%/*}" && mv -f "$partial/unpacked/$2" "$here/$3"; } ||
            fail "$here/$3 cannot be written: check its permissions"
        shift 3
    done
    rm -rf "$partial/unpacked"
    printf 'installed: %s\n' "$title"
}

accepted=no
action=install
folder=
while [ $# -gt 0 ]; do
    case $1 in
    --accept-licence | --accept-license) accepted=yes ;;
    --download | --from)
        [ $# -ge 2 ] || fail "$1 needs a folder"
        [ -z "$folder" ] || fail 'one of --download and --from at most'
        [ "$1" = --from ] || action=keep
        folder=$2
        shift
        ;;
    *) fail "unknown option $1" ;;
    esac
    shift
done
if [ $accepted = no ]; then
    explain
    exit 0
fi
[ -z "$folder" ] || [ -d "$folder" ] || fail "$folder is no folder"
if [ $action = install ] && [ -n "$folder" ]; then
    each expect
fi
rm -rf "$partial"
mkdir "$partial" || fail "$partial cannot be made: check the permissions of $here"
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' HUP INT TERM
each $action

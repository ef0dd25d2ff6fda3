#!/bin/sh
# Gets the libraries of NVIDIA that this package may not contain, after their licence was accepted:
#   sh get-nvidia-libraries.sh [--accept-licence] [--wheel FILE]
set -u
project='tensorrt-rtx-cu13-libs'
version='1.7.1.116'
wheel='tensorrt_rtx_cu13_libs-1.7.1.116-py3-none-manylinux_2_28_x86_64.whl'
wheel_sha256='e3fd45fed001240d63304e77a2d4006319b839994237cb294b6e7ad72acaabcd'
core='tensorrt_rtx_libs/libtensorrt_rtx.so.1'
core_sha256='a74fa3974f1892b65a53b06a14ffcb15758ac51c12135ada84490f53f67e1051'
parser='tensorrt_rtx_libs/libtensorrt_onnxparser_rtx.so.1'
parser_sha256='27be1f67ef28683b54390b6cbc7ec3efc75b39c8ebc4c683cb8603bcfd0b8896'
licence='tensorrt_rtx_cu13_libs-1.7.1.116.dist-info/licenses/LICENSE.txt'
licence_sha256='64bd290f0251405f783ba1d2e155c500542be69795e51147a1d9f11a57bda8cc'

case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
partial=$here/.nvidia.partial

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# $1: file, $2: the SHA-256 that it must have
verify() {
    sum=$(sha256sum <"$1") || fail "$1 cannot be read"
    [ "${sum%% *}" = "$2" ] || fail "$1 is not the file that this package was made for: expected SHA-256 $2, got ${sum%% *}"
}

explain() {
    cat <<TEXT
TensorRT for RTX $version runs and builds the engines of NVIDIA GPUs. This package does not contain it, because
its licence, the NVIDIA Software License Agreement for TensorRT, does not let others pass it on.

  package:  $project, version $version, from the Python package index
  file:     $wheel
            95 MB to download, 238 MB when unpacked
  SHA-256:  $wheel_sha256
  goes to:  $here/bin/${core##*/}
            $here/bin/${parser##*/}
            $here/LICENSES/NVIDIA-TensorRT-RTX.txt

Read the licence in the file above or on NVIDIA's site. If you accept it:
  sh $0 --accept-licence               downloads the file with pip
  sh $0 --accept-licence --wheel FILE  takes the file that you downloaded

TensorRT 10 or 11 is installed from NVIDIA's own packages; name its folder with TENSORRT_LIBRARY.
The driver of the GPU is installed with the system.
TEXT
}

download() {
    if python3 -m pip --version >/dev/null 2>&1; then
        python3 -m pip download --quiet --no-deps --no-cache-dir --no-input --disable-pip-version-check \
            --only-binary :all: --implementation cp --python-version 3.11 --abi cp311 \
            --platform manylinux_2_28_x86_64 --dest "$partial" "$project==$version" ||
            fail "pip cannot download $project $version: check the network, or use --wheel FILE"
    else
        fail "pip is not installed: download $wheel on another machine and use --wheel FILE"
    fi
}

unpack() {
    if command -v unzip >/dev/null 2>&1; then
        unzip -q "$1" "$core" "$parser" "$licence" -d "$partial" || fail "$1 cannot be unpacked: is there room?"
    elif command -v python3 >/dev/null 2>&1; then
        python3 -m zipfile -e "$1" "$partial" || fail "$1 cannot be unpacked: is there room?"
    else
        fail "$1 is a zip archive, and neither unzip nor python3 is installed to unpack it"
    fi
}

accepted=no
given=
while [ $# -gt 0 ]; do
    case $1 in
    --accept-licence | --accept-license) accepted=yes ;;
    --wheel)
        [ $# -ge 2 ] || fail '--wheel needs a file'
        given=$2
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

[ -z "$given" ] || [ -f "$given" ] || fail "$given is no file"
rm -rf "$partial"
mkdir "$partial" || fail "$partial cannot be made: check the permissions of $here"
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' HUP INT TERM
if [ -z "$given" ]; then
    download
    given=$partial/$wheel
fi
verify "$given" "$wheel_sha256"
unpack "$given"
verify "$partial/$core" "$core_sha256"
verify "$partial/$parser" "$parser_sha256"
verify "$partial/$licence" "$licence_sha256"
{
    mkdir -p "$here/bin" "$here/LICENSES" &&
        mv -f "$partial/$licence" "$here/LICENSES/NVIDIA-TensorRT-RTX.txt" &&
        mv -f "$partial/$parser" "$here/bin/" &&
        mv -f "$partial/$core" "$here/bin/"
} || fail "the libraries cannot be moved to $here/bin: check its permissions"
printf 'installed: %s/bin/%s\n' "$here" "${core##*/}"

#!/bin/sh
# Holds the engines of this package on this machine's GPU against the results of the processor, then measures them:
#   sh gpu-check.sh [OPTIONS OF egom2p gpu-check]
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
exec "$here/bin/egom2p" gpu-check "$here/bundle" --reference "$here/reference" "$@"

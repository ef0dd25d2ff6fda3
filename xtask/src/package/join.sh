#!/bin/sh
# Joins the parts of a package, verifies them and unpacks them: sh join.sh [FOLDER]
# It needs a shell, sha256sum, tar, and the everyday cat, mkdir, mv and rm.
set -u
package='@PACKAGE@'
whole='@WHOLE@'
parts='
@PARTS@
'

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

sum_of() {
    sum=$(cat -- "$@" 2>/dev/null | sha256sum) && printf '%s' "${sum%% *}"
}

[ $# -le 1 ] || fail "expected one folder to unpack into at the most, got $# words"
place=${1:-$package}
place=${place%/}
partial=$place.partial
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
for tool in cat sha256sum tar mkdir mv rm; do
    command -v "$tool" >/dev/null 2>&1 || fail "this script needs $tool, which is not installed"
done
if [ -e "$place" ] || [ -L "$place" ]; then
    fail "$place exists: remove it, or name another folder"
fi

set --
for part in $parts; do
    set -- "$@" "$here/${part#*:}"
    [ -f "$here/${part#*:}" ] || fail "the part $here/${part#*:} is missing: copy it again"
done
for part in $parts; do
    [ "$(sum_of "$here/${part#*:}")" = "${part%%:*}" ] || fail "the part $here/${part#*:} is damaged: copy it again"
done
[ "$(sum_of "$@")" = "$whole" ] || fail "the parts are whole, but not what they make together: copy $0 again"

mkdir "$partial" 2>/dev/null ||
    fail "$partial cannot be made: check that its folder exists and can be written, and that nothing has its name"
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' HUP INT TERM
said=$({ cat -- "$@" | tar -xof - -C "$partial"; } 2>&1) ||
    fail "the package cannot be unpacked into $partial, is there room? (${said%%
*})"
(cd "$partial/$package" && sha256sum -c MANIFEST.sha256) >/dev/null 2>&1 ||
    fail "the unpacked files are not those that were packed: check the disk of $partial"
mv "$partial/$package" "$place" || fail "$partial cannot be given its name $place"
printf 'unpacked: %s\n' "$place"

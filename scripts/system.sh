# Sourced by the other scripts: packages of the system that they need.

say() { printf '%s\n' "$*" >&2; }

# Runs apt-get as root, where this user may.
as_root() { if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi; }
apt_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
    say "Installing $*"
    as_root apt-get update -qq >/dev/null &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need WHAT CHECK PACKAGE...: unless CHECK passes, installs the packages, or says how to.
need() {
    "$2" && return
    apt_install "${@:3}" && "$2" && return
    say "$1: these packages of the system are needed: ${*:3}"
    say "    sudo apt-get install ${*:3}"
    say "Run that (or the same with your system's package manager), then scripts/install."
    return 1
}

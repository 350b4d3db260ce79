# What has to be on the machine, and how it gets there.
#
# Nothing is touched, and no network is used, while nothing is missing. On Debian and its children
# the missing packages are installed with apt-get, as root or through sudo; elsewhere they are named.

missing=()  # Debian packages that have to be installed

# require PACKAGE COMMAND…: the package is missing unless the command succeeds.
require() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

# require_program PROGRAM PACKAGE
require_program() { require "$2" has "$1"; }

is_debian() { has apt-get && has dpkg-deb; }

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        return 1
    fi
}

# Installs what `require` found missing; does nothing when that is nothing.
install_missing() {
    ((${#missing[@]})) || return 0
    local packages="${missing[*]}"
    is_debian || fail "these are missing, by the names of Debian's packages: $packages
Install what your system calls them, then try again."
    ((EUID == 0)) || has sudo || fail "these packages are missing: $packages
As root: apt-get install --no-install-recommends $packages"
    note "installing: $packages"
    refresh_package_lists
    local log
    log=$(as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" 2>&1 </dev/null) || {
        note "$log"
        fail "apt-get could not install: $packages"
    }
    missing=()
}

refresh_package_lists() {
    as_root apt-get update --quiet=2 >&2 </dev/null ||
        fail "apt-get update failed: is the network there?"
}

# unpack_package PACKAGE DIRECTORY: a Debian package's files, without installing it and without root.
unpack_package() {
    local package=$1 into=$2 directory archive
    is_debian || fail "the demo guests are made of Debian's packages linux-image-cloud-amd64 and
busybox-static, which apt-get fetches; this system has no apt-get.
The appliance itself runs without them: $0 boot"
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || refresh_package_lists
    note "fetching: $package"
    scratch_directory
    (cd "$directory" && apt-get download --quiet=2 -o APT::Sandbox::User=root "$package" >&2) || {
        refresh_package_lists # the list was older than the archive
        (cd "$directory" && apt-get download --quiet=2 -o APT::Sandbox::User=root "$package" >&2)
    } || fail "apt-get could not download $package"
    archive=("$directory"/*.deb)
    mkdir -p "$into"
    dpkg-deb --extract "${archive[0]}" "$into"
}

# The rivals of the benchmark: Linux machines whose whole user space is an initramfs of ours, made of
# Debian's packages, unpacked into build/bench and fetched once; and the programs that real stacks are
# measured with. Nothing of it is installed here.
#
#   linux    a bridge, or IPVS between two NICs
#   testpmd  DPDK's forwarder, which polls and decides nothing
#
# What they are told to be stands on the kernel command line; tests/bench/init does it.

rivals=$root/build/bench

# In the order in which they depend on one another. virtio_net comes from `guest_modules`.
bridge_modules=(llc/llc 802/stp bridge/bridge)
ipvs_modules=(
    lib/libcrc32c netfilter/nf_defrag_ipv4 netfilter/nf_defrag_ipv6 netfilter/nf_conntrack
    ipvs/ip_vs ipvs/ip_vs_rr
)
dpdk_modules=(uio/uio uio/uio_pci_generic)

# Makes `$rivals`/vmlinuz, linux.gz and testpmd.gz.
prepare_rivals() {
    mkdir -p "$rivals"
    fetch_busybox
    unpack_linux "$rivals" "${guest_modules[@]}" "${bridge_modules[@]}" "${ipvs_modules[@]}" \
        "${dpdk_modules[@]}"
    unpack_program "$rivals/ipvsadm" ipvsadm /sbin/ipvsadm
    unpack_program "$rivals/testpmd" dpdk-dev /usr/bin/dpdk-testpmd \
        librte_net_virtio.so.23 librte_mempool_ring.so.23
    local program
    for program in wrk:/usr/bin/wrk iperf3:/usr/bin/iperf3 nginx:/usr/sbin/nginx; do
        unpack_program "$rivals/${program%%:*}" "${program%%:*}" "${program#*:}"
    done
    make_rival "$rivals/linux.gz" "$rivals/ipvsadm" \
        "nic ${guest_modules[*]}" "bridge ${bridge_modules[*]}" "ipvs ${ipvs_modules[*]}"
    make_rival "$rivals/testpmd.gz" "$rivals/testpmd" "dpdk ${dpdk_modules[*]}"
}

# unpack_program INTO PACKAGE PATH [LIBRARY…]: a program of a package and every shared library that
# it needs, as a tree of its own, `root`; `run` runs it from there.
unpack_program() {
    local into=$1 package=$2 path=$3
    shift 3
    [[ -e $into/complete ]] && return
    unpack_package "$package" "$into/package"
    mkdir -p "$into/root/bin" "$into/root/lib" "$into/root/lib64"
    cp "$into/package$path" "$into/root/bin/"
    add_libraries "$into" "$(libraries_of "$into/package$path")" "$@"
    ln -sf ../lib/ld-linux-x86-64.so.2 "$into/root/lib64/ld-linux-x86-64.so.2"
    cat >"$into/run" <<RUN
#!/bin/sh
exec "$into/root/lib64/ld-linux-x86-64.so.2" --library-path "$into/root/lib" "$into/root/bin/${path##*/}" "\$@"
RUN
    chmod +x "$into/run"
    rm -rf "$into/package"
    touch "$into/complete"
}

# add_libraries INTO NAME…: with those that they need themselves.
add_libraries() {
    local into=$1 name found
    shift
    # shellcheck disable=SC2048 # names are words
    for name in $*; do
        [[ -e $into/root/lib/$name ]] && continue
        found=$(find_library "$into" "$name")
        if [[ -z $found ]]; then
            unpack_package "$(package_of "$name")" "$into/package"
            found=$(find_library "$into" "$name")
        fi
        [[ -n $found ]] || fail "no library $name in Debian's package $(package_of "$name")"
        cp "$found" "$into/root/lib/$name"
        add_libraries "$into" "$(libraries_of "$found")"
    done
}

find_library() { find "$1/package" -name "$2" -print -quit; }

# The names of the shared libraries that a file is linked with.
libraries_of() { objdump --private-headers "$1" | awk '$1 == "NEEDED" { print $2 }'; }

# package_of LIBRARY: by the rule of Debian's policy (8.1), but for those with another name.
package_of() {
    case $1 in
        libc.so.6 | libm.so.6 | ld-linux-*) echo libc6 ;;
        libz.so.1) echo zlib1g ;;
        libcrypto.so.3) echo libssl3 ;;
        libmlx5.so.1) echo ibverbs-providers ;;
        *) sed -E 's/_/-/g; s/([0-9])\.so\./\1-/; s/\.so\.//' <<<"$1" ;;
    esac
}

# make_rival INITRD PROGRAM "KIND MODULE…"…: modules go into a directory for each kind.
make_rival() {
    local initrd=$1 program=$2 kind modules module at=0
    shift 2
    scratch_directory
    local tree=$directory
    mkdir -p "$tree"/{bin,dev,proc,run,sys,tmp}
    cp --recursive "$program/root/." "$tree"
    cp "$busybox" "$tree/bin/busybox"
    install -m 755 "$root/tests/bench/init" "$tree/init"
    for kind in "$@"; do
        read -r kind modules <<<"$kind"
        mkdir -p "$tree/modules/$kind"
        for module in $modules; do
            printf -v at '%02d' $((10#$at + 1))
            cp "$rivals/modules/${module##*/}.ko" "$tree/modules/$kind/$at-${module##*/}.ko"
        done
    done
    (cd "$tree" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$initrd"
}

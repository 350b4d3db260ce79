# What attackers and victims need, by Debian's packages.

require_tools() {
    require_program qemu-system-x86_64 qemu-system-x86
    require_program ip iproute2
    require_program ping iputils-ping
    require_program curl curl
    require_program python3 python3
    require_program arpspoof dsniff
    require_program atk6-fake_router26 thc-ipv6
    require_program ra6 ipv6toolkit
    require_program yersinia yersinia
    require_program hping3 hping3
    install_missing
}

# A disk that boots by itself, with a BIOS or UEFI, for libvirt, Proxmox and ESXi: Debian's GRUB, the
# image, a configuration to begin with, and room for those that are committed. Made without root and
# without a loop device.
#
#   sector 0       GRUB's first sector and the partition table
#   up to 1 MiB    GRUB for a BIOS, right behind it: its first sector looks there
#   partition 1    FAT, UEFI's system partition: GRUB for UEFI, grub.cfg, fulcrum, config.txt
#   partition 2    where commits are saved (kernel/src/store/partition.rs); blank
#
# GRUB hands the image over by multiboot2 either way.

sector_bytes=512
mib_sectors=2048
system_start=$mib_sectors
system_sectors=$((20 * mib_sectors))
saved_start=$((system_start + system_sectors))
saved_sectors=$((8 * mib_sectors))
disk_sectors=$((saved_start + saved_sectors))

grub_modules=(part_msdos fat normal test multiboot2)

require_disk_image_tools() {
    require_program grub-mkimage grub-common
    require grub-pc-bin test -e /usr/lib/grub/i386-pc/boot.img
    require grub-efi-amd64-bin test -d /usr/lib/grub/x86_64-efi
    require_program mformat mtools
    has_sfdisk || missing+=(fdisk)
}

# An ordinary user's PATH may be without it.
has_sfdisk() { PATH=$PATH:/usr/sbin:/sbin has sfdisk; }

# make_disk_image CONFIGURATION: beside the image, `$disk_image`; no configuration is ''.
make_disk_image() {
    local configuration=$1 new=$image.img.new system
    disk_image=$image.img
    system=$new@@$((system_start * sector_bytes))
    scratch_directory
    rm -f "$new"
    truncate --size $((disk_sectors * sector_bytes)) "$new"
    PATH=$PATH:/usr/sbin:/sbin sfdisk --quiet "$new" <<TABLE || fail "sfdisk made no partitions"
label-id: 0x46756c63
start=$system_start, size=$system_sectors, type=ef, bootable
start=$saved_start, size=$saved_sectors, type=da
TABLE
    install_grub "$new"
    mformat -i "$system" -T "$system_sectors" -h 64 -s 32 -v FULCRUM ::
    mmd -i "$system" ::EFI ::EFI/BOOT
    mcopy -i "$system" "$directory/bootx64.efi" ::EFI/BOOT/BOOTX64.EFI
    mcopy -i "$system" "$image" ::fulcrum
    grub_configuration >"$directory/grub.cfg"
    mcopy -i "$system" "$directory/grub.cfg" ::grub.cfg
    [[ -z $configuration ]] || mcopy -i "$system" "$configuration" ::config.txt
    mv "$new" "$disk_image"
    note "disk image: $(stat --format %s "$disk_image") bytes, $disk_image"
}

# install_grub DISK: GRUB for a BIOS before the first partition; GRUB for UEFI is left in the scratch
# directory. Both look for grub.cfg on the first partition of the disk that they come from.
install_grub() {
    local disk=$1 core=$directory/core.img
    grub-mkimage --format i386-pc --prefix '(,msdos1)/' --output "$core" biosdisk "${grub_modules[@]}"
    grub-mkimage --format x86_64-efi --prefix '(,msdos1)/' --output "$directory/bootx64.efi" \
        "${grub_modules[@]}"
    (($(stat --format %s "$core") <= (system_start - 1) * sector_bytes)) ||
        fail "GRUB does not fit before the first partition"
    # The table begins at byte 446 of the first sector, the disk's identity at 440.
    dd if=/usr/lib/grub/i386-pc/boot.img of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$core" of="$disk" bs="$sector_bytes" seek=1 conv=notrunc status=none
}

grub_configuration() {
    cat <<'CFG'
# What GRUB starts. Words of Fulcrum's command line (host=NAME, panic=reboot) go behind /fulcrum.
set gfxpayload=text
multiboot2 /fulcrum
# A configuration to begin with; once one was committed, that one comes first.
if [ -f /config.txt ]; then
    module2 /config.txt
fi
boot
CFG
}

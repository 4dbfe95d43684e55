# shellcheck shell=bash disable=SC2034,SC2154
# Debian 12 with sysvinit instead of systemd: Scenarios/profiles/debian-12-sysv.json.

# shellcheck source=Lab/images/recipes/debian-12.sh
. "$recipes/debian-12.sh"
from=debian-12
notable="$notable sysvinit-core sysv-rc initscripts insserv orphan-sysvinit-scripts startpar"
# GRUB legacy reads no ext4 and no inodes of 256 bytes; GRUB 2 reads this one as well, so one image serves both.
boot_fs=(-t ext3 -I 128 -O "^64bit,^metadata_csum,^extent,^dir_index,^resize_inode")

change_packages() {
  install_packages "$1" --allow-remove-essential sysvinit-core sysv-rc initscripts insserv orphan-sysvinit-scripts startpar systemd-sysv-
}

configure() {
  configure_system "$1"
  configure_loopback_only "$1"
  # Debian leaves them out of the boot with sysvinit; a machine with its root on iSCSI wants them.
  for service in iscsid open-iscsi; do
    in_system "$1" update-rc.d "$service" enable
    in_system "$1" update-rc.d "$service" defaults
  done
  # An initramfs of 9 MB and not 30: GRUB legacy and an emulated processor load it in reasonable time. The list has what this
  # machine needs, and usb-storage, so that a stick still races with the LUN for the name sda.
  sed -i 's/^MODULES=.*/MODULES=list/' "$1/etc/initramfs-tools/initramfs.conf"
  printf '%s\n' e1000 ext4 sd_mod iscsi_tcp iscsi_ibft crc32c crc32c_intel libcrc32c usb-storage xhci-pci ehci-pci \
    >>"$1/etc/initramfs-tools/modules"
  add_to_sysvinit "$1"
}

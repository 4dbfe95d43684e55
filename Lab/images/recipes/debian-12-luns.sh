# shellcheck shell=bash disable=SC2034,SC2154
# Debian 12 that serves the LUNs of a fuse-lun store by tgt; its root is on a disk of its own. For Lab/fuse-lun-boot.

# shellcheck source=Lab/images/recipes/debian-12.sh
. "$recipes/debian-12.sh"
from=debian-12
notable="$notable tgt fuse3 libfuse3-3"

change_packages() {
  install_packages "$1" tgt fuse3 libfuse3-3 libnbd0 libblkid1
}

configure() {
  configure_system "$1"
  configure_loopback_only "$1"
  # It does not boot from iSCSI.
  rm "$1/etc/iscsi/iscsi.initramfs"
  sed -i 's/defaults,_netdev/defaults/' "$1/etc/fstab"
  add_to_systemd "$1"
}

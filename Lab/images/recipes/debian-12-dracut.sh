# shellcheck shell=bash disable=SC2034,SC2154
# Debian 12 with dracut instead of initramfs-tools, configured so that it boots from the iBFT.

# shellcheck source=Lab/images/recipes/debian-12.sh
. "$recipes/debian-12.sh"
from=debian-12
notable="$notable dracut dracut-network"
kernel_parameters=rd.iscsi.firmware=1

change_packages() {
  install_packages "$1" dracut dracut-network iputils-arping
}

configure() {
  configure_system "$1"
  configure_loopback_only "$1"
  # With its own choice of modules dracut 059 takes systemd-networkd, to which rd.iscsi.firmware says nothing; and it leaves out
  # the script that Debian's iscsid.service starts with.
  cat >"$1/etc/dracut.conf.d/iscsi.conf" <<'END'
hostonly="no"
hostonly_cmdline="no"
add_dracutmodules+=" iscsi network network-legacy "
omit_dracutmodules+=" systemd-networkd "
install_items+=" /lib/open-iscsi/startup-checks.sh /bin/grep /bin/cat "
compress="zstd"
END
  add_to_systemd "$1"
}

# shellcheck shell=bash disable=SC2034,SC2154
# Debian 12 with systemd-networkd instead of ifupdown: DHCP on every Ethernet card, and nothing said about keeping what is there.

# shellcheck source=Lab/images/recipes/debian-12.sh
. "$recipes/debian-12.sh"
from=debian-12

change_packages() {
  install_packages "$1" ifupdown-
}

configure() {
  configure_system "$1"
  cat >"$1/etc/systemd/network/20-wired.network" <<'END'
[Match]
Name=en*

[Network]
DHCP=yes
END
  in_system "$1" systemctl enable systemd-networkd.service
  add_to_systemd "$1"
}

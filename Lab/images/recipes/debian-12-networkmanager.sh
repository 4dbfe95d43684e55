# shellcheck shell=bash disable=SC2034,SC2154
# Debian 12 with NetworkManager, as its package configures it, instead of ifupdown.

# shellcheck source=Lab/images/recipes/debian-12.sh
. "$recipes/debian-12.sh"
from=debian-12
notable="$notable network-manager"

change_packages() {
  install_packages "$1" network-manager ifupdown-
}

configure() {
  configure_system "$1"
  add_to_systemd "$1"
}

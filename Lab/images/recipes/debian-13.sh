# shellcheck shell=bash disable=SC2034,SC2154
# Debian 13 with what debian-12 has; dhcpcd is its ifupdown's DHCP client.

# shellcheck source=Lab/images/recipes/debian-12.sh
. "$recipes/debian-12.sh"
suite=trixie
kernel_package=linux-image-amd64
packages="$kernel_package initramfs-tools open-iscsi systemd-sysv udev grub-pc-bin grub2-common kmod iproute2 procps ifupdown
  dhcpcd-base e2fsprogs zstd busybox dbus login iputils-ping psmisc iptables nftables"
notable="initramfs-tools open-iscsi systemd udev grub-pc-bin ifupdown dhcpcd-base iptables e2fsprogs"

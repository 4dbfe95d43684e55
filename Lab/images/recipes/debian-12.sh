# shellcheck shell=bash disable=SC2034,SC2154
# Debian 12 with systemd, ifupdown, initramfs-tools and GRUB 2: the machine of Scenarios/profiles/debian-12.json.

suite=bookworm
kernel_package=linux-image-6.1.0-50-amd64
packages="$kernel_package initramfs-tools open-iscsi systemd-sysv udev grub-pc-bin grub2-common kmod iproute2 procps ifupdown
  isc-dhcp-client e2fsprogs zstd busybox dbus login iputils-ping psmisc iptables nftables"
boot_fs=(-t ext4)
kernel_parameters=""
# Whose versions the .info says.
notable="initramfs-tools open-iscsi systemd udev grub-pc-bin ifupdown isc-dhcp-client iptables e2fsprogs"

# What a recipe that extends this one installs or removes in a copy of its root tree; nothing here.
change_packages() { :; }

# The configuration, in the system at DIRECTORY (/boot is mounted there).
configure() {
  configure_system "$1"
  configure_loopback_only "$1"
  add_to_systemd "$1"
}

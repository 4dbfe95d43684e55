# shellcheck shell=bash disable=SC2154
# Pieces that recipes are made of. Each takes the folder that the system is at.

boot_uuid=18311587-8c6e-4a3c-b4ca-9fead0c9fe7b
root_uuid=79d5e8b3-a1a3-4f27-a1aa-1333e6bbcf8c

# Installs (or removes, NAME-) packages, without starting a service and without what they only recommend.
install_packages() {
  local directory=$1
  shift
  cp /etc/resolv.conf "$directory/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$directory/usr/sbin/policy-rc.d"
  chmod +x "$directory/usr/sbin/policy-rc.d"
  in_system "$directory" apt-get update -qq
  in_system "$directory" apt-get install -qq -y --no-install-recommends "$@"
  in_system "$directory" apt-get clean
  rm "$directory/usr/sbin/policy-rc.d"
}

# What an installation with its root on iSCSI has, whatever its init and its network software are.
configure_system() {
  local directory=$1
  cat >"$directory/etc/fstab" <<END
UUID=$root_uuid / ext4 errors=remount-ro 0 1
UUID=$boot_uuid /boot auto defaults,_netdev 0 2
END
  echo labhost >"$directory/etc/hostname"
  printf '127.0.0.1\tlocalhost\n127.0.1.1\tlabhost\n' >"$directory/etc/hosts"
  : >"$directory/etc/resolv.conf"
  echo 'InitiatorName=iqn.2024-01.lab:host' >"$directory/etc/iscsi/initiatorname.iscsi"
  echo 'ISCSI_AUTO=true' >"$directory/etc/iscsi/iscsi.initramfs"
  mkdir -p "$directory/boot/grub"
  sed -e "s/@BOOT@/$boot_uuid/" -e "s/@ROOT@/$root_uuid/" -e "s/@KERNEL@/$(kernel_of "$directory")/" \
    -e "s/@PARAMETERS@/${kernel_parameters:+ $kernel_parameters}/" "$here/added/grub.cfg" >"$directory/boot/grub/grub.cfg"
}

# ifupdown knows nothing of the card that the root is reached by: who takes an interface down loses the root.
configure_loopback_only() {
  printf '# The loopback network interface\nauto lo\niface lo inet loopback\n' >"$1/etc/network/interfaces"
}

# What the laboratory adds to any system: a shell on ttyS1 that outlives the root, and the report on ttyS0.
add_programs() {
  echo root:lab | chroot "$1" chpasswd
  install -D -m 755 "$here/added/lab-marker" "$here/added/lab-shell" -t "$1/usr/local/sbin"
  install -D -m 755 /bin/busybox "$1/usr/local/sbin/lab-busybox"
}

add_to_systemd() {
  local directory=$1 unit
  add_programs "$directory"
  install -m 644 "$here/added/lab-marker.service" "$here/added/lab-shell.service" -t "$directory/etc/systemd/system"
  in_system "$directory" systemctl --quiet enable lab-marker.service lab-shell.service
  # A getty on ttyS0 hangs the line up and cuts off what the console says; the timers start work that no boot asked for.
  for unit in serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer; do
    ln -sf /dev/null "$directory/etc/systemd/system/$unit"
  done
}

add_to_sysvinit() {
  local directory=$1
  add_programs "$directory"
  printf '%s\n' 'lm:2345:once:/usr/local/sbin/lab-marker' 'ls:2345:respawn:/usr/local/sbin/lab-shell' >>"$directory/etc/inittab"
  # One script after the other, each named on the console with the time; and what halt and reboot do at the end, word by word.
  edit_line "$directory/lib/init/rc" '^CONCURRENCY=.*' 'CONCURRENCY=none'
  # shellcheck disable=SC2016
  edit_line "$directory/lib/init/rc" '^[[:space:]]*"$script" "$action"$' 'read up idle </proc/uptime; echo "RC[$up] $script $action"; &'
  edit_line "$directory/etc/init.d/halt" '^#! */bin/sh$' '#!/bin/sh -x'
  edit_line "$directory/etc/init.d/reboot" '^#! */bin/sh$' '#!/bin/sh -x'
}

# Replaces the lines that match, or says that there are none: a package's script has changed.
edit_line() {
  grep -q "$2" "$1" || die "no line of $1 matches $2: what the laboratory adds there has to be written anew"
  sed -i "s|$2|$3|" "$1"
}

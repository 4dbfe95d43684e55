# shellcheck shell=bash disable=SC2034
# What build and edit share: the disk's layout, mounting a disk image, running a command in its system.

# A disk is described by a layout: a line a partition, `NUMBER START-MIB END-MIB MOUNT-POINT [FILE]`. The first line is the root;
# a mount point of - is a partition that is not mounted; FILE is another disk image that the partition is on.
standard_layout='2 200 1599 /
1 1 200 /boot'

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Mounts are made in a namespace of our own, so that a killed run leaves no mount and, autoclear, no loop device behind.
in_private_namespace() {
  [ "$(id -u)" = 0 ] || die "mounting disk images needs root"
  [ -n "${LAB_NAMESPACE:-}" ] || LAB_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
}

# Mounts IMAGE at DIRECTORY as LAYOUT says. One loop device a partition: not every kernel reads partition tables.
mount_disk() {
  local image=$1 directory=$2 layout=$3 number start end point file
  while read -r number start end point file; do
    [ "$point" != - ] || continue
    mkdir -p "$directory$point"
    mount -o "loop,offset=$((start << 20)),sizelimit=$(((end - start) << 20))" "${file:-$image}" "$directory$point" ||
      die "partition $number of ${file:-$image} ($start to $end MiB) does not mount at $point"
  done <<<"$layout"
}

unmount_disk() {
  local directory=$1
  mountpoint -q "$directory" || return 0
  umount -R "$directory" || die "$directory does not unmount: $(fuser -vm "$directory" 2>&1 | tr '\n' ' ')"
}

# For a trap: takes down what is still mounted at DIRECTORY, and the folder.
abandon_disk() {
  ! mountpoint -q "$1" || umount -R "$1" || return 0
  find "$1" -xdev -depth -type d -empty -delete
}

# Runs a command in the system at DIRECTORY, as root there, with what packages' scripts expect to find mounted.
in_system() {
  local directory=$1 status=0 place
  shift
  for place in proc sys dev; do
    mountpoint -q "$directory/$place" || mount --bind "/$place" "$directory/$place"
  done
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TERM=dumb DEBIAN_FRONTEND=noninteractive \
    chroot "$directory" "$@" </dev/null || status=$?
  for place in proc sys dev; do umount "$directory/$place"; done
  return "$status"
}

# Makes the initramfs of the system at DIRECTORY anew, with the maker it has, for the kernel it has.
rebuild_initramfs() {
  local directory=$1 kernel
  kernel=$(kernel_of "$directory")
  if [ -e "$directory/usr/bin/dracut" ]; then
    in_system "$directory" dracut --force --quiet "/boot/initrd.img-$kernel" "$kernel"
  else
    in_system "$directory" update-initramfs -u -k "$kernel"
  fi
}

# The version of the newest kernel that the system at DIRECTORY has.
kernel_of() {
  local modules
  modules=$(find "$1/lib/modules/" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V | tail -n 1)
  [ -n "$modules" ] || die "no kernel in $1/lib/modules"
  echo "$modules"
}

# shellcheck shell=bash
# Boot code into a disk image. grub-install wants device nodes of the partitions; these functions do by hand what it does.

# Zeros the boot code of the MBR (the partition table stays) and the gap behind it.
erase_boot_code() {
  dd if=/dev/zero of="$1" bs=440 count=1 conv=notrunc status=none
  dd if=/dev/zero of="$1" bs=512 seek=1 count=2047 conv=notrunc status=none
}

# GRUB 2 from the system at DIRECTORY into the MBR and the gap of IMAGE, its modules to /boot/grub. PREFIX is where core.img
# looks for them; with SEARCH, a UUID, on the file system of that UUID and not on the disk it was read from.
install_grub2() {
  local image=$1 directory=$2 prefix=$3 search=${4:-}
  local modules=(biosdisk part_msdos ext2) options=()
  mkdir -p "$directory/boot/grub"
  cp -r "$directory/usr/lib/grub/i386-pc" "$directory/boot/grub/"
  if [ -n "$search" ]; then
    modules+=(search_fs_uuid)
    # shellcheck disable=SC2016 # GRUB's variable
    printf 'search.fs_uuid %s root\nset prefix=($root)%s\n' "$search" "$prefix" >"$directory/boot/grub/load.cfg"
    options=(-c /boot/grub/load.cfg)
  fi
  in_system "$directory" grub-mkimage -O i386-pc -p "$prefix" "${options[@]}" \
    -o /boot/grub/i386-pc/core.img "${modules[@]}"
  erase_boot_code "$image"
  dd if="$directory/boot/grub/i386-pc/boot.img" of="$image" bs=440 count=1 conv=notrunc status=none
  dd if="$directory/boot/grub/i386-pc/core.img" of="$image" bs=512 seek=1 conv=notrunc status=none
  printf '\x55\xaa' | dd of="$image" bs=1 seek=510 conv=notrunc status=none
}

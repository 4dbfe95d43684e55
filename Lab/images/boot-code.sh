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

# GRUB legacy 0.97, unpacked and not installed, to TOOLS/grub-legacy; with the C library that its 32-bit program needs.
fetch_grub_legacy() {
  local tools=$1 new package
  [ ! -e "$tools/grub-legacy" ] || return 0
  mkdir -p "$tools"
  new=$(mktemp -d "$tools/new.XXXXXX")
  (cd "$new" && apt-get download -qq grub-legacy libc6-i386 2>/dev/null) ||
    die "the packages grub-legacy and libc6-i386 cannot be downloaded (apt-get update?)"
  for package in "$new"/*.deb; do
    dpkg -x "$package" "$new"
    rm "$package"
  done
  mv -T "$new" "$tools/grub-legacy"
}

# The stages of GRUB legacy into /boot/grub of the system at DIRECTORY.
copy_grub_legacy_stages() {
  local tools=$1 directory=$2
  mkdir -p "$directory/boot/grub"
  cp "$tools"/grub-legacy/usr/lib/grub/x86_64-pc/* "$directory/boot/grub/"
}

# GRUB legacy's own `setup` on disk images as ordinary files: DISK0 and DISK1 (may be empty) are (hd0) and (hd1) of the map it is
# given, ROOT the partition that has /boot, PREFIX the folder there, SETUP the drive that gets stage 1. What GRUB says is printed.
setup_grub_legacy() {
  local tools=$1 disk0=$2 disk1=$3 root=$4 prefix=$5 setup=$6 said
  local program="$tools/grub-legacy/usr/sbin/grub" libraries="$tools/grub-legacy/lib32"
  said=$(
    {
      echo "device (hd0) $disk0"
      [ -z "$disk1" ] || echo "device (hd1) $disk1"
      printf 'root %s\nsetup --prefix=%s %s\nquit\n' "$root" "$prefix" "$setup"
    } | "$libraries/ld-linux.so.2" --library-path "$libraries" "$program" --batch --device-map=/dev/null 2>&1
  ) || true
  echo "$said" | grep -v '^ *$'
  # Its exit status is 0 whatever happens; its last word is not.
  case $said in
  *"/menu.lst\"... succeeded"*) ;;
  *) die "GRUB legacy's setup of $setup with root $root did not succeed: see its output above" ;;
  esac
}

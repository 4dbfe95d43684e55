# shellcheck shell=bash
# GRUB legacy into a disk image.

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
  # Another edit may have been faster.
  mv -T "$new" "$tools/grub-legacy" 2>/dev/null || rm -rf "$new"
  [ -x "$tools/grub-legacy/usr/sbin/grub" ] || die "$tools/grub-legacy has no GRUB legacy in it; remove it and try again"
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
  *"/menu.lst\"... succeeded"* | *"/menu.lst \"... succeeded"*) ;;
  *) die "GRUB legacy's setup of $setup with root $root did not succeed: see its output above" ;;
  esac
}

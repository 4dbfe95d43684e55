#define _GNU_SOURCE
#include "CLinux.h"

#include <sched.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(LINUX_FALLOC_FL_KEEP_SIZE == FALLOC_FL_KEEP_SIZE, "kernel ABI");
_Static_assert(LINUX_FALLOC_FL_PUNCH_HOLE == FALLOC_FL_PUNCH_HOLE, "kernel ABI");
_Static_assert(LINUX_FALLOC_FL_ZERO_RANGE == FALLOC_FL_ZERO_RANGE, "kernel ABI");
_Static_assert(LINUX_SEEK_DATA == SEEK_DATA && LINUX_SEEK_HOLE == SEEK_HOLE, "kernel ABI");
_Static_assert(LINUX_F_OFD_GETLK == F_OFD_GETLK && LINUX_F_OFD_SETLK == F_OFD_SETLK, "kernel ABI");
_Static_assert(LINUX_O_PATH == O_PATH, "kernel ABI");
_Static_assert(sizeof(off_t) == 8, "64-bit file offsets");

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

int linux_fallocate(int fd, int mode, int64_t offset, int64_t length) {
  return fallocate(fd, mode, offset, length);
}

int64_t linux_pread_cached(int fd, void *buffer, uint64_t length, int64_t offset) {
  struct iovec part = {buffer, length};
  return preadv2(fd, &part, 1, offset, RWF_NOWAIT);
}

int linux_block_device_size(int fd, uint64_t *bytes) { return ioctl(fd, BLKGETSIZE64, bytes); }

int linux_block_device_logical_block_size(int fd, int *bytes) { return ioctl(fd, BLKSSZGET, bytes); }

int linux_set_io_flusher(void) { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); }

void linux_end_with_parent(int32_t parent, int signal) {
  prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0);
  if (getppid() != parent) raise(signal);
}

int linux_accept_cloexec(int fd) { return accept4(fd, NULL, NULL, SOCK_CLOEXEC); }

int linux_peer_user(int fd, uint32_t *user) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
  *user = credentials.uid;
  return 0;
}

int linux_peer_process(int fd) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return 0;
  return credentials.pid;
}

int linux_set_socket_timeout(int fd, int seconds) {
  struct timeval time = {.tv_sec = seconds};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0) return -1;
  return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

const char *linux_errno_name(int code) { return strerrorname_np(code); }

int linux_syncfs(int fd) { return syncfs(fd); }

int linux_freeze(int fd) { return ioctl(fd, FIFREEZE, 0); }

int linux_thaw(int fd) { return ioctl(fd, FITHAW, 0); }

int linux_loop_backing(int fd, uint64_t *device, uint64_t *inode) {
  struct loop_info64 info;
  if (ioctl(fd, LOOP_GET_STATUS64, &info) != 0) return -1;
  *device = info.lo_device;
  *inode = info.lo_inode;
  return 0;
}

int linux_rename(const char *from, const char *to, int replaces) {
  return replaces ? rename(from, to) : linux_renameat(AT_FDCWD, from, to);
}

int linux_renameat(int folder, const char *from, const char *to) {
  int result = renameat2(folder, from, folder, to, RENAME_NOREPLACE);
  if (result == 0 || errno != EINVAL) return result;
  // A file system that cannot refuse by itself.
  if (faccessat(folder, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return renameat(folder, from, folder, to);
}

int linux_setns(int fd) { return setns(fd, 0); }

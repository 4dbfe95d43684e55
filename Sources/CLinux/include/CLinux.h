// Linux system calls that the Glibc overlay hides because it is built without _GNU_SOURCE.
// Each function is the system call of the same name: -1 and errno on failure, nothing added.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

enum {
  LINUX_FALLOC_FL_KEEP_SIZE = 0x01,
  LINUX_FALLOC_FL_PUNCH_HOLE = 0x02,
  LINUX_FALLOC_FL_ZERO_RANGE = 0x10,
  LINUX_SEEK_DATA = 3,
  LINUX_SEEK_HOLE = 4,
  LINUX_F_OFD_GETLK = 36,
  LINUX_F_OFD_SETLK = 37,
  LINUX_O_PATH = 010000000,
};

int linux_fallocate(int fd, int mode, int64_t offset, int64_t length);

// pread of what is in the page cache: EAGAIN where the file system would have to wait for the medium, EOPNOTSUPP
// where it cannot tell (preadv2, RWF_NOWAIT).
int64_t linux_pread_cached(int fd, void *buffer, uint64_t length, int64_t offset);

// Size in bytes of a block device, and its logical block size (<linux/fs.h>).
int linux_block_device_size(int fd, uint64_t *bytes);
int linux_block_device_logical_block_size(int fd, int *bytes);

// Marks the calling process as one that writes back the pages of a block device: the kernel then never
// makes it wait for that same write-back (PR_SET_IO_FLUSHER, Linux 5.6, needs CAP_SYS_RESOURCE).
int linux_set_io_flusher(void);

// Sends the calling process a signal when the thread that started it ends (PR_SET_PDEATHSIG), or now if the process
// `parent` is gone.
void linux_end_with_parent(int32_t parent, int signal);

// accept4 with SOCK_CLOEXEC, and the user of the process at the other end of a Unix socket (SO_PEERCRED).
int linux_accept_cloexec(int fd);
int linux_peer_user(int fd, uint32_t *user);
// The process that listens at the other end, or 0 where it cannot be seen from here.
int linux_peer_process(int fd);

// Reading and writing fail with EAGAIN when nothing has moved for so many seconds, and so does connecting
// (SO_RCVTIMEO, SO_SNDTIMEO).
int linux_set_socket_timeout(int fd, int seconds);

// The name of an error number in <errno.h>, or NULL if it has none (strerrorname_np, glibc 2.32).
const char *linux_errno_name(int code);

// Writes back a whole file system; freezes one after that, so that it stays as it is until it is thawed
// (FIFREEZE, FITHAW, <linux/fs.h>).
int linux_syncfs(int fd);
int linux_freeze(int fd);
int linux_thaw(int fd);

// The calling thread's namespace becomes the one that the file is of (setns).
int linux_setns(int fd);

// Device and inode number of the file under a loop device (LOOP_GET_STATUS64, <linux/loop.h>).
int linux_loop_backing(int fd, uint64_t *device, uint64_t *inode);

// rename; unless it replaces, EEXIST where there is something of the new name (renameat2, RENAME_NOREPLACE).
int linux_rename(const char *from, const char *to, int replaces);
// The same inside an open folder, never replacing.
int linux_renameat(int folder, const char *from, const char *to);

// Opens a file with the rights of a user and groups, and no capabilities, on a thread of its own that ends with it; not
// through the links of /proc, which lead past rights (openat2 with RESOLVE_NO_MAGICLINKS, Linux 5.6). -2 where the
// calling process may not take on those rights.
int linux_open_as(
    const char *path, int flags, uint32_t user, uint32_t group, const uint32_t *groups, size_t count);

// Goes on with a CRC32C (without the inversions) by the machine's own instructions, which Swift has no names for.
// Returns 0 where the machine has none, and has done nothing then.
int linux_crc32c(uint32_t *crc, const void *bytes, size_t count);

#endif

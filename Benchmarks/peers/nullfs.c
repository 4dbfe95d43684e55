// A file system that does nothing: the most that libfuse's low-level API can do with files that need no work.
// Four files, lun0 to lun3, of a given size; reads give zeros that are never made, writes are dropped. Opened and
// served as fuse-lun opens and serves its files: FOPEN_DIRECT_IO, FOPEN_PARALLEL_DIRECT_WRITES, clone_fd, as many
// requests under way.
//
//     nullfs MOUNTPOINT BYTES [THREADS]      stays in the foreground; fusermount3 -u ends it
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES = 4, FIRST = 2 };

static off_t size;
static char zeros[1 << 20];

static void do_init(void *data, struct fuse_conn_info *connection) {
  connection->max_background = 64;
  connection->congestion_threshold = 48;
}

static struct stat attributes(fuse_ino_t number) {
  struct stat file = {.st_ino = number, .st_nlink = 1, .st_mode = S_IFREG | 0600, .st_size = size};
  if (number == FUSE_ROOT_ID) file.st_mode = S_IFDIR | 0700;
  return file;
}

static void do_lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
  if (strlen(name) != 4 || strncmp(name, "lun", 3) || name[3] < '0' || name[3] >= '0' + FILES) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  struct fuse_entry_param entry = {.ino = FIRST + name[3] - '0', .entry_timeout = 1};
  entry.attr = attributes(entry.ino);
  fuse_reply_entry(request, &entry);
}

static void do_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file) {
  struct stat status = attributes(number);
  fuse_reply_attr(request, &status, 0);
}

static void do_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file) {
  // struct fuse_open_out: libfuse 3.14.0 has no field for FOPEN_PARALLEL_DIRECT_WRITES.
  struct {
    uint64_t handle;
    uint32_t flags, padding;
  } answer = {0, 1u << 0 | 1u << 6, 0};
  fuse_reply_buf(request, (const char *)&answer, sizeof answer);
}

static void do_read(fuse_req_t request, fuse_ino_t number, size_t length, off_t offset, struct fuse_file_info *file) {
  fuse_reply_buf(request, zeros, length);
}

static void do_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t length, off_t offset,
                     struct fuse_file_info *file) {
  fuse_reply_write(request, length);
}

static const struct fuse_lowlevel_ops operations = {
    .init = do_init, .lookup = do_lookup, .getattr = do_getattr, .open = do_open, .read = do_read, .write = do_write};

int main(int count, char **words) {
  if (count < 3) {
    fprintf(stderr, "usage: nullfs MOUNTPOINT BYTES [THREADS]\n");
    return 2;
  }
  size = strtoll(words[2], NULL, 10);
  struct fuse_args args = FUSE_ARGS_INIT(1, words);
  struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
  if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, words[1])) return 1;
  struct fuse_loop_config *config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  if (count > 3) fuse_loop_cfg_set_max_threads(config, atoi(words[3]));
  int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_session_unmount(session);
  return result < 0;
}

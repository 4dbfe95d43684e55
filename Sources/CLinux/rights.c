#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

struct opening {
  const char *path;
  int flags;
  uint32_t user, group;
  const uint32_t *groups;
  size_t count;
  int file, code, has_rights;
};

// The kernel keeps users, groups and capabilities of each thread; it is glibc's functions that change them in all
// threads. So these are raw system calls, but for setfsuid and setfsgid, which are for one thread there too.
static int take_on_rights(const struct opening *opening) {
  if (syscall(SYS_setgroups, opening->count, opening->groups) != 0) return errno;
  // Neither says whether it has worked; asked for what cannot be, they say what is.
  setfsgid(opening->group);
  if ((uint32_t)setfsgid(-1) != opening->group) return EPERM;
  setfsuid(opening->user);
  if ((uint32_t)setfsuid(-1) != opening->user) return EPERM;
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0}, {0}};
  return syscall(SYS_capset, &head, none) == 0 ? 0 : errno;
}

static void *open_with_rights(void *argument) {
  struct opening *opening = argument;
  opening->code = take_on_rights(opening);
  if (opening->code != 0) return NULL;
  opening->has_rights = 1;
  struct open_how how = {.flags = opening->flags, .resolve = RESOLVE_NO_MAGICLINKS};
  opening->file = syscall(SYS_openat2, AT_FDCWD, opening->path, &how, sizeof how);
  if (opening->file < 0) opening->code = errno;
  return NULL;
}

int linux_open_as(
    const char *path, int flags, uint32_t user, uint32_t group, const uint32_t *groups, size_t count) {
  struct opening opening = {path, flags, user, group, groups, count, -1, 0, 0};
  sigset_t all, before;
  sigfillset(&all);
  // libfuse cancels its threads, and one that waits here must see the end of it.
  int cancel;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int failure = pthread_create(&thread, NULL, open_with_rights, &opening);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure == 0) failure = pthread_join(thread, NULL);
  pthread_setcancelstate(cancel, NULL);
  if (failure == 0) failure = opening.code;
  if (failure != 0) errno = failure;
  return failure == 0 ? opening.file : opening.has_rights ? -1 : -2;
}

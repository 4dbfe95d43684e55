#include "CNbd.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cnbd_library library;
static char failure[512];

static void load(void) {
  void *handle = dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(failure, sizeof failure, "%s", dlerror());
    return;
  }
#define CNBD_FIND(name)                                             \
  if (!(library.name = (__typeof__(library.name))dlsym(handle, "nbd_" #name))) { \
    snprintf(failure, sizeof failure, "%s", dlerror());             \
    return;                                                         \
  }
  CNBD_FUNCTIONS(CNBD_FIND)
#undef CNBD_FIND
}

const struct cnbd_library *cnbd_load(const char **problem) {
  pthread_once(&once, load);
  *problem = failure;
  return failure[0] ? NULL : &library;
}

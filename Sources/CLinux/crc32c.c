#include "CLinux.h"

#ifdef __x86_64__

#include <nmmintrin.h>
#include <string.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c(uint32_t crc, const char *bytes, size_t count) {
  uint64_t wide = crc;
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = (uint32_t)wide;
  for (; count > 0; bytes++, count--) crc = _mm_crc32_u8(crc, (unsigned char)*bytes);
  return crc;
}

int linux_crc32c(uint32_t *crc, const void *bytes, size_t count) {
  if (!__builtin_cpu_supports("sse4.2")) return 0;
  *crc = crc32c(*crc, bytes, count);
  return 1;
}

#else

int linux_crc32c(uint32_t *crc, const void *bytes, size_t count) { return 0; }

#endif

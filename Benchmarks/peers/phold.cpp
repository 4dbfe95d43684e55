// PHOLD on std::priority_queue: the same generator, delays and order of equal times as Sources/bench/Phold.swift.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <queue>
#include <vector>

struct Event {
  int64_t time;
  uint32_t sequence, lp;
  bool operator<(const Event &other) const {
    return time != other.time ? time > other.time : sequence > other.sequence;
  }
};

static uint64_t state;

static inline uint64_t next() {
  state += 0x9E3779B97F4A7C15ull;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

static inline int64_t delay() {
  double unit = (next() >> 11) * 0x1p-53;
  return int64_t((1 - std::log(1 - unit)) * 1e6);
}

int main(int argc, char **argv) {
  const int events = argc > 1 ? atoi(argv[1]) : 4000000;
  for (int lps : {8, 64, 1024, 65536}) {
    state = 42;
    clock_t start = clock();
    std::priority_queue<Event> queue;
    std::vector<uint64_t> counts(lps);
    uint32_t sequence = 0;
    for (int lp = 0; lp < lps; lp++) queue.push({delay(), sequence++, uint32_t(lp)});
    for (int i = 0; i < events; i++) {
      Event event = queue.top();
      queue.pop();
      counts[event.lp]++;
      uint32_t lp = next() < 1ull << 62 ? uint32_t((next() >> 32) * uint64_t(lps) >> 32) : event.lp;
      queue.push({event.time + delay(), sequence++, lp});
    }
    double seconds = double(clock() - start) / CLOCKS_PER_SEC;
    uint64_t check = 0;
    for (int lp = 0; lp < lps; lp++) check += (lp + 1) * counts[lp];
    printf("%d\t%.0f\t%llu\n", lps, events / seconds, (unsigned long long)check);
  }
}

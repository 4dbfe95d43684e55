// PHOLD in SystemC: an LP is a module with an event queue (several events may be on their way to it).
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <systemc>
#include <vector>

static uint64_t state = 42;

static inline uint64_t next() {
  state += 0x9E3779B97F4A7C15ull;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

static inline sc_core::sc_time delay() {
  double unit = (next() >> 11) * 0x1p-53;
  return sc_core::sc_time(std::floor((1 - std::log(1 - unit)) * 1e6), sc_core::SC_US);
}

struct LP;
static std::vector<std::unique_ptr<LP>> lps;
static long handled = 0, limit;

struct LP : sc_core::sc_module {
  sc_core::sc_event_queue arrivals;
  uint64_t count = 0;
  SC_HAS_PROCESS(LP);
  explicit LP(sc_core::sc_module_name name) : sc_module(name), arrivals("arrivals") {
    SC_METHOD(handle);
    sensitive << arrivals;
    dont_initialize();
  }
  void handle();
};

void LP::handle() {
  count++;
  if (++handled >= limit) {
    sc_core::sc_stop();
    return;
  }
  LP *to = next() < 1ull << 62 ? lps[(next() >> 32) * lps.size() >> 32].get() : this;
  to->arrivals.notify(delay());
}

int sc_main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 8;
  limit = argc > 2 ? atol(argv[2]) : 1000000;
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  sc_core::sc_set_time_resolution(1, sc_core::SC_US);
  for (int i = 0; i < count; i++) lps.push_back(std::make_unique<LP>(sc_core::sc_gen_unique_name("lp")));
  for (auto &lp : lps) lp->arrivals.notify(delay());
  clock_t start = clock();
  sc_core::sc_start();
  double seconds = double(clock() - start) / CLOCKS_PER_SEC;
  printf("%d\t%.0f\n", count, handled / seconds);
  return 0;
}

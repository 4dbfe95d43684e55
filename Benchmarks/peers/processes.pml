/* The model of Sources/bench/Processes.swift. */
#define N 5
#define M 5
byte x[N];

#define STEP x[_pid] = (x[_pid] + x[(_pid + 1) % N] + 1) % M

active [N] proctype Process() {
  do
  :: STEP; STEP; STEP
  od
}

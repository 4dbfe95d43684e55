"""PHOLD in SimPy, with bare time-outs and callbacks: its fastest way, without a process for each LP."""

import random
import sys
import time

import simpy

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000

for lps in (8, 64, 1024, 65536):
    random.seed(42)
    environment = simpy.Environment()
    counts = [0] * lps
    uniform, exponential, timeout = random.random, random.expovariate, environment.timeout

    def handle(event):
        lp = event.value
        counts[lp] += 1
        if uniform() < 0.25:
            lp = int(uniform() * lps)
        timeout(1.0 + exponential(1.0), lp).callbacks.append(handle)

    for lp in range(lps):
        timeout(1.0 + exponential(1.0), lp).callbacks.append(handle)
    start = time.process_time()
    step = environment.step
    for _ in range(EVENTS):
        step()
    print(f"{lps}\t{EVENTS / (time.process_time() - start):.0f}")

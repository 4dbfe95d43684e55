# Included by the Makefile: compares the engine with its peers, side by side in one run.
BENCH_VENV := Benchmarks/.build/venv

.PHONY: bench-engine
bench-engine:
	@Scripts/setup build bench
	@test -x $(BENCH_VENV)/bin/python || (python3 -m venv $(BENCH_VENV) && $(BENCH_VENV)/bin/pip install -q simpy)
	PYTHON=$(CURDIR)/$(BENCH_VENV)/bin/python Benchmarks/run.sh

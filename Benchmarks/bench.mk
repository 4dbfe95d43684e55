# Included by the Makefile: compares the engine with its peers, side by side in one run.
BENCH_VENV := Benchmarks/.build/venv

.PHONY: bench-engine
bench-engine:
	@Scripts/setup build bench
	@test -x $(BENCH_VENV)/bin/python || (python3 -m venv $(BENCH_VENV) && $(BENCH_VENV)/bin/pip install -q simpy)
	PYTHON=$(CURDIR)/$(BENCH_VENV)/bin/python Benchmarks/run.sh

# fuse-lun beside its peers; what is measured and how long, the environment says (Benchmarks/Sources/bench-lun).
.PHONY: bench-lun
bench-lun:
	@Scripts/setup build bench-lun
	$(SWIFT) build -c release --product fuse-lun
	$(SWIFT) build -c release --package-path Benchmarks --product bench-lun
	mkdir -p Benchmarks/.build/peers
	$(CC) -O2 -o Benchmarks/.build/peers/nullfs Benchmarks/peers/nullfs.c $$(pkg-config --cflags --libs fuse3)
	$(CC) -O2 -o Benchmarks/.build/peers/nullring -ISources/CURing/include Benchmarks/peers/nullring.c Sources/CURing/ring.c
	LUN_OUTPUT=$${LUN_OUTPUT:-Benchmarks/.build/lun.json} \
	  $$($(SWIFT) build -c release --package-path Benchmarks --show-bin-path)/bench-lun \
	  $$($(SWIFT) build -c release --show-bin-path)/fuse-lun Benchmarks/.build/peers/nullfs Benchmarks/.build/peers/nullring

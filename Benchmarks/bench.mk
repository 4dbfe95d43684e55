# Included by the Makefile: compares the engine with its peers.
.PHONY: bench-engine
bench-engine:
	Benchmarks/run.sh

# What a newcomer needs: `make demo` and `make test`. Both install what is missing from the system's packages first.
# Everything is built by SwiftPM; this file only puts the steps in order.

SWIFT ?= swift
BUILD := $(SWIFT) build
BOOTSIM = $(shell $(SWIFT) build --show-bin-path)/bootsim

.PHONY: all demo test fuzz crash setup setup-test build release bench format lint clean

all: build

# A machine of today that comes up and never powers off, and one that a USB stick keeps from coming up.
demo: setup
	$(BUILD) --product bootsim
	@echo
	@$(BOOTSIM) run Scenarios/modern/lab-h-auto-dhcp.json || test $$? = 1
	@echo
	@$(BOOTSIM) run Scenarios/modern/lab-c-usb-takes-sda.json || test $$? = 1
	@echo
	@echo "Both are real boots, seen in the laboratory. Try your own: $(BOOTSIM) init > mine.json"

# Optimized: the tests explore hundreds of scenarios many times over, which takes a debug build four times as long. In a folder
# of its own, since what `make release` builds is not made for testing. While working: swift test --filter …
TESTED = -c release -Xswiftc -enable-testing --scratch-path .build/tested
TESTED_BOOTSIM = $(shell $(SWIFT) build $(TESTED) --show-bin-path)/bootsim

test: setup-test lint
	Lab/images/test
	$(BUILD) $(TESTED) --build-tests
	Install/make-manual .build/tested/manual $(TESTED)
	Install/test $(dir $(TESTED_BOOTSIM)) .build/tested/manual
	$(TESTED_BOOTSIM) test Scenarios
	Scripts/fuzz 0
	Lab/quick $(TESTED_BOOTSIM)
	Scripts/run-tests $(SWIFT) test $(TESTED) --skip-build

# What fuse-lun reads from outside, for so many seconds a target. `make test` does a fixed number of runs.
FUZZ_SECONDS ?= 60
fuzz: setup
	Scripts/fuzz $(FUZZ_SECONDS)

# What is acknowledged survives kill -9 and power cuts, whatever commands are at work: hours of it. How many of each, and from
# which seed, the environment says.
crash: setup-test
	$(BUILD) $(TESTED) --build-tests
	FUSE_LUN_CRASH_ROUNDS=$${ROUNDS:-5000} FUSE_LUN_CRASH_CUTS=$${CUTS:-5000} FUSE_LUN_CRASH_TURNS=$${TURNS:-600} \
	  Scripts/run-tests $(SWIFT) test $(TESTED) --skip-build --filter 'FuseLunTests\.(CrashTests|PowerCutTests)'

setup:
	@Scripts/setup build

setup-test:
	@Scripts/setup build test lab

build: setup
	$(BUILD)

# The programs as they are installed: no Swift libraries needed on the machine they are copied to.
release: setup
	$(BUILD) -c release --static-swift-stdlib --product bootsim
	$(BUILD) -c release --static-swift-stdlib --product fuse-lun
	$(MAKE) --no-print-directory manual

include Install/install.mk
include Lab/lab.mk
include Benchmarks/bench.mk
bench: bench-engine bench-lun

format: setup
	$(SWIFT) format format --in-place --parallel --recursive Package.swift Sources Tests Fuzz/Package.swift Fuzz/Sources/fuzz

lint: setup
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests Fuzz/Package.swift Fuzz/Sources/fuzz
	Scripts/lint-traps

clean:
	$(SWIFT) package clean
	$(SWIFT) package clean --scratch-path .build/tested
	$(SWIFT) package clean --package-path Fuzz

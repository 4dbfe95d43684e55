# Real boots. `make lab` does what Lab/variants lists and takes hours; it goes on where it was interrupted.
.PHONY: lab lab-quick lab-fuse-lun lab-crash-points setup-lab

LAB_JOBS ?= 2
LAB = $(shell $(SWIFT) build -c release --show-bin-path)/bootsim verify --jobs $(LAB_JOBS) --results Lab/results --resume \
	--page Lab/AGREEMENT.md
# A variant a line, with the number of times that it is booted.
LAB_ONCE = $(shell sed -n 's/^1 //p' Lab/variants)
LAB_OFTEN = $(shell sed -n 's/^20 //p' Lab/variants)

setup-lab:
	@Scripts/setup build lab

lab: setup-lab
	$(BUILD) -c release --product bootsim
	$(BUILD) -c release --product fuse-lun
	@status=0; $(LAB) $(LAB_ONCE) || status=$$?; $(LAB) --times 20 $(LAB_OFTEN) || status=$$?; exit $$status

# What a power cut at each flush of a boot and shutdown would have left.
lab-crash-points: setup-lab
	$(BUILD) -c release --product bootsim
	$(BUILD) -c release --product fuse-lun
	$$($(BUILD) -c release --show-bin-path)/bootsim verify --crash-points Lab/crash-points.json \
		Scenarios/modern/lab-a-base.json

# What CI boots: minutes.
lab-quick: setup-lab
	Lab/quick $(BOOTSIM)

# A machine that mounts a store at boot: three boots.
lab-fuse-lun: setup-lab
	$(BUILD) -c release --static-swift-stdlib --product fuse-lun
	Lab/fuse-lun-boot $$($(BUILD) -c release --show-bin-path)/fuse-lun

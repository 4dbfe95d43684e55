# `make release`, then as root `make install`. Nothing is built by install; it runs the programs for their completions.
#
#   PREFIX=/usr/local     under which bin, share and lib/systemd are
#   DESTDIR=              put in front of every path, for packages
#   MOUNT_HELPER_DIR=     where mount(8) looks for its helpers: /sbin, wherever that leads; nothing else is looked at
#   BUILD_DIR=            where the programs are, and MANUAL where the man pages are
.PHONY: install uninstall manual

PREFIX ?= /usr/local
BUILD_DIR ?= .build/release
MANUAL ?= .build/manual
export PREFIX DESTDIR MOUNT_HELPER_DIR BUILD_DIR MANUAL

install:
	@Install/install

uninstall:
	@Install/uninstall

# By the plugin GenerateManual of swift-argument-parser, from the commands themselves.
manual:
	Install/make-manual $(MANUAL) -c release --static-swift-stdlib

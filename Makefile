# Everything a newcomer needs. Bare `make` says what there is.
SHELL := /bin/sh
PYTHON := .venv/bin/python
STAMP := .venv/.installed
# libnftables and libseccomp are loaded by the product itself, the rest are programs.
PACKAGES := python3 python3-venv nftables libnftables1 libseccomp2 wireguard-tools wireguard-go ffmpeg iproute2 util-linux procps $(TEST_PACKAGES)
# dnsmasq serves DHCP and DNS to the lab's uplink; the box itself runs none.
TEST_PACKAGES := dnsmasq-base
# For tests alone, which skip by name without them: a browser with Chinese fonts, and strace, which fails the disk's calls.
TOOLS := chromium fonts-wqy-zenhei strace
PROGRAMS := python3 nft wg wireguard-go ffmpeg ip unshare nsenter dnsmasq

.DEFAULT_GOAL := help
.PHONY: help setup packages tools demo test check bench clean

help: ## say what there is
	@echo "snowgate: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  %-8s %s\n' "$$name" "$$text"; done

setup: packages $(STAMP) ## install what is missing: Debian packages (as root) and Python packages into .venv

packages:
	@missing=""; for program in $(PROGRAMS); do command -v $$program >/dev/null 2>&1 || PATH="$$PATH:/usr/sbin:/sbin" command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$$missing python3-venv"; \
	for library in libnftables.so.1 libseccomp.so.2; do { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q $$library || missing="$$missing $$library"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then echo "Installing Debian packages:$$missing"; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	else echo "Missing:$$missing. As root: apt-get install --no-install-recommends $(PACKAGES)"; exit 1; fi

tools:
	@command -v chromium >/dev/null 2>&1 && command -v strace >/dev/null 2>&1 && exit 0; \
	if [ "$$(id -u)" = 0 ]; then echo "Installing Debian packages: $(TOOLS)"; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends $(TOOLS) >/dev/null; \
	else echo "Without these some tests skip by name. As root: apt-get install --no-install-recommends $(TOOLS)"; fi

$(STAMP): requirements.txt pyproject.toml
	@echo "Installing Python packages into .venv"
	@$$(command -v /usr/bin/python3 || command -v python3) -m venv .venv
	@$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $(STAMP)

demo: setup ## the main job, live: the picture through the gap, and everything else refused (DEMO_SECONDS=, DEMO_LEAK=1)
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m edge.lab.demo

test: setup tools ## all tests: unit, golden, playbook, property, lab, browser
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m tests

check: setup ## format, lint, types, and who may import whom
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q . && .venv/bin/mypy && .venv/bin/lint-imports

bench: setup ## the relay beside a bare loop, delay and memory: build/bench.json
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m tests.bench

clean: ## remove what was built here
	@rm -rf build .venv *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Everything a newcomer needs. Bare `make` says what there is.
SHELL := /bin/sh
PYTHON := .venv/bin/python
STAMP := .venv/.installed
# libnftables and libseccomp are loaded by the product itself, the rest are programs.
PACKAGES := python3 python3-venv nftables libnftables1 libseccomp2 wireguard-tools wireguard-go ffmpeg iproute2 util-linux procps $(TEST_PACKAGES)
# dnsmasq serves DHCP and DNS to the lab's uplink; the box itself runs none.
TEST_PACKAGES := dnsmasq-base
# For tests alone, which skip by name without them: a browser with Chinese fonts, strace, which fails the disk's calls,
# SIP that we did not write, and the city's larger database.
TOOLS := chromium fonts-wqy-zenhei strace sip-tester baresip-core kamailio postgresql
TOOL_PROGRAMS := chromium strace sipp baresip kamailio psql
PROGRAMS := python3 nft wg wireguard-go ffmpeg ip unshare nsenter dnsmasq

PREFIX := /opt/snowgate
# Seconds of `make fuzz`, for all its targets together.
SECONDS := 60
FUZZ := build/fuzz-venv

UNITS := snowgate-proof.timer snowgate-proof.path snowgate-closed snowgate-keeper snowgate-uplink snowgate-enrol snowgate-prove snowgate-ferry snowgate-site snowgate-city

.DEFAULT_GOAL := help
SEEDS := 1000
.PHONY: help setup packages tools database demo demo-city test check bench bench-city bench-peers fuzz simulate install uninstall install-city uninstall-city install-concentrator uninstall-concentrator clean

help: ## say what there is
	@echo "snowgate: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  %-22s %s\n' "$$name" "$$text"; done

setup: packages $(STAMP) ## install what is missing: Debian packages (as root) and Python packages into .venv

packages:
	@missing=""; for program in $(PROGRAMS); do command -v $$program >/dev/null 2>&1 || PATH="$$PATH:/usr/sbin:/sbin" command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$$missing python3-venv"; \
	for library in libnftables.so.1 libseccomp.so.2; do { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q $$library || missing="$$missing $$library"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then echo "Installing Debian packages:$$missing"; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	else echo "Missing:$$missing. As root: apt-get install --no-install-recommends $(PACKAGES)"; exit 1; fi

# A kamailio or a PostgreSQL that this installs would serve from then on: the tests start their own.
tools:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=""; for program in $(TOOL_PROGRAMS); do command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then echo "Installing Debian packages: $(TOOLS)"; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends $(TOOLS) >/dev/null; \
	case "$$missing" in *kamailio*) systemctl disable -q --now kamailio 2>/dev/null || :;; esac; \
	case "$$missing" in *psql*) systemctl disable -q --now postgresql 2>/dev/null || :; pg_lsclusters -h 2>/dev/null | while read -r version name rest; do pg_ctlcluster $$version $$name stop 2>/dev/null || :; done;; esac; \
	else echo "Without these some tests skip by name:$$missing. As root: apt-get install --no-install-recommends $(TOOLS)"; fi

# The same care as in tools: the demo starts its own.
database:
	@{ command -v psql >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; } && exit 0; \
	[ "$$(id -u)" = 0 ] || { echo "Missing: PostgreSQL. As root: apt-get install --no-install-recommends postgresql"; exit 1; }; \
	echo "Installing Debian packages: postgresql"; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	systemctl disable -q --now postgresql 2>/dev/null || :; pg_lsclusters -h 2>/dev/null | while read -r version name rest; do pg_ctlcluster $$version $$name stop 2>/dev/null || :; done

$(STAMP): requirements.txt pyproject.toml
	@echo "Installing Python packages into .venv"
	@$$(command -v /usr/bin/python3 || command -v python3) -m venv .venv
	@$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $(STAMP)

demo: setup ## the main job, live: the picture through the gap, and everything else refused (DEMO_SECONDS=, DEMO_LEAK=1)
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m edge.lab.demo

demo-city: setup database ## a small city: three sites, two concentrators, its promises measured; build/demo-city.json
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m edge.lab.cityscape

test: setup tools ## all tests: unit, golden, playbook, property, lab, browser
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m tests

check: setup ## format, lint, types, and who may import whom
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q . && .venv/bin/mypy && .venv/bin/lint-imports

bench: setup ## media beside rtpengine and socat, messages beside Kamailio, delay and memory: build/bench.json (BENCH=media)
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m tests.bench $(BENCH)

bench-city: setup tools ## the city's side: heartbeats, memory, approval, revocation, restart storm: build/bench-city.json (CITY=node)
	@PATH="$$PATH:/usr/sbin:/sbin" $(PYTHON) -m tests.bench.city $(CITY)

# Beside what others have written; the daemons that the packages would start are not wanted. What is not there after all
# is said: the figures beside it are then marked as not measured.
PEERS := kamailio rtpengine-daemon socat
PEER_PROGRAMS := kamailio rtpengine socat
bench-peers: ## install what `make bench` measures us against: Kamailio, rtpengine, socat (as root)
	@missing() { for program in $(PEER_PROGRAMS); do PATH="$$PATH:/usr/sbin:/sbin" command -v $$program >/dev/null 2>&1 || printf ' %s' $$program; done; }; \
	[ -z "$$(missing)" ] && exit 0; \
	[ "$$(id -u)" = 0 ] || { echo "Missing:$$(missing). As root: apt-get install --no-install-recommends $(PEERS)"; exit 1; }; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; for package in $(PEERS); do apt-get install -y -qq --no-install-recommends $$package >/dev/null || true; done; \
	if [ -d /run/systemd/system ]; then systemctl disable -q --now kamailio rtpengine-daemon; fi; \
	[ -z "$$(missing)" ] || { echo "Not installed:$$(missing). make bench will mark what it cannot measure beside them: not measured: peer absent"; exit 1; }

$(FUZZ)/.installed: pyproject.toml
	@echo "Installing the fuzzer into $(FUZZ)"
	@$$(command -v /usr/bin/python3 || command -v python3) -m venv $(FUZZ)
	@$(FUZZ)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzz"], sep="\n")' > $(FUZZ)/wanted
	@$(FUZZ)/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: -r $(FUZZ)/wanted
	@touch $@

fuzz: $(FUZZ)/.installed ## octets that nobody thought of, for the readers of SIP, SDP, MANSCDP and enrolment (SECONDS=60)
	@$(FUZZ)/bin/python -m tests.fuzz $(SECONDS)

simulate: setup ## the city's control plane, its concentrators and boxes in worlds made by lot, a thousand of them (SEEDS=1000)
	@$(PYTHON) -m tests.simulator 0 $(SEEDS)

# $(call python_into,PREFIX,REQUIREMENTS): this package and what it needs, in an environment of its own.
define python_into
rm -rf build/wheel build/lib; $(PYTHON) -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel .; \
	/usr/bin/python3 -m venv "$(DESTDIR)$(1)"; \
	"$(DESTDIR)$(1)/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r $(2); \
	"$(DESTDIR)$(1)/bin/python" -m pip install -q --disable-pip-version-check --no-deps --force-reinstall build/wheel/*.whl
endef

install: $(STAMP) ## put it on this machine, as root: /opt/snowgate, units, users, folders (DESTDIR= for an image's root)
	@set -e; root="$(DESTDIR)$(PREFIX)"; $(call python_into,$(PREFIX),requirements-box.txt); \
	printf '#!/bin/sh\nexec $(PREFIX)/bin/python -m edge.cli "$$@"\n' > "$$root/bin/snowgate"; chmod 755 "$$root/bin/snowgate"; \
	install -d "$$root/share/supervisor" "$(DESTDIR)/etc/systemd/system" "$(DESTDIR)/etc/systemd/journald.conf.d" "$(DESTDIR)/etc/sysusers.d" "$(DESTDIR)/etc/tmpfiles.d"; \
	install -m 755 systemd/snowgate-closed systemd/snowgate-release "$$root/share"; \
	install -m 644 firewall/closed.nft "$$root/share"; install -m 644 systemd/supervisor/*.conf "$$root/share/supervisor"; \
	install -m 644 systemd/*.service systemd/*.target systemd/*.timer systemd/*.path "$(DESTDIR)/etc/systemd/system"; \
	for kind in sysusers.d tmpfiles.d; do install -m 644 systemd/$$kind/snowgate.conf "$(DESTDIR)/etc/$$kind"; done; \
	install -m 644 systemd/journald.conf.d/snowgate.conf "$(DESTDIR)/etc/systemd/journald.conf.d"; \
	[ -n "$(DESTDIR)" ] || { systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload; \
	systemctl enable -q snowgate.target $(UNITS); echo "Installed. Next: systemctl start snowgate.target, $(PREFIX)/bin/snowgate apply FILE"; }

uninstall: ## take it off again and give the ports back; what it kept stays, unless PURGE=1
	@[ -n "$(DESTDIR)" ] || { systemctl disable -q --now snowgate.target $(UNITS); sh "$(PREFIX)/share/snowgate-release"; sysctl -q --system >/dev/null; }
	@rm -rf "$(DESTDIR)$(PREFIX)" $(DESTDIR)/etc/sysusers.d/snowgate.conf $(DESTDIR)/etc/tmpfiles.d/snowgate.conf \
	$(DESTDIR)/etc/systemd/journald.conf.d/snowgate.conf; \
	for unit in systemd/*.service systemd/*.target systemd/*.timer systemd/*.path; do rm -f "$(DESTDIR)/etc/systemd/system/$${unit##*/}"; done
	@[ -z "$(PURGE)" ] || rm -rf "$(DESTDIR)/var/lib/snowgate" "$(DESTDIR)/etc/snowgate" "$(DESTDIR)/var/log/snowgate"
	@[ -n "$(DESTDIR)" ] || systemctl daemon-reload

# The city's own machines: the registry, and each concentrator. Programs in /opt/snowgate-registry or -concentrator, with
# a command `snowgate` that knows `city` alone.
REGISTRY_UNITS := snowgate-registry.target snowgate-signer snowgate-registry snowgate-schedule
CONCENTRATOR_UNITS := snowgate-concentrator

install-city: what := registry
install-concentrator: what := concentrator
install-city: $(STAMP) ## the city's registry, on a machine of its own, as root (DESTDIR=)
install-concentrator: $(STAMP) ## a concentrator, on a machine of its own, as root (DESTDIR=)
install-city install-concentrator:
	@set -e; root="$(DESTDIR)/opt/snowgate-$(what)"; $(call python_into,/opt/snowgate-$(what),requirements-$(what).txt); \
	printf '#!/bin/sh\n[ "$$1" != city ] || shift\nexec /opt/snowgate-$(what)/bin/python -m city.cli "$$@"\n' > "$$root/bin/snowgate"; chmod 755 "$$root/bin/snowgate"; \
	install -d "$(DESTDIR)/etc/systemd/system" "$(DESTDIR)/etc/sysusers.d" "$(DESTDIR)/etc/tmpfiles.d"; \
	for unit in systemd/$(what)/*; do install -m 644 "$$unit" "$(DESTDIR)/etc/systemd/system"; done; \
	for kind in sysusers.d tmpfiles.d; do install -m 644 systemd/$$kind/snowgate-$(what).conf "$(DESTDIR)/etc/$$kind"; done; \
	[ -n "$(DESTDIR)" ] || { systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload; \
	systemctl enable -q $(if $(filter registry,$(what)),$(REGISTRY_UNITS),$(CONCENTRATOR_UNITS)); echo "Installed in /opt/snowgate-$(what); nothing is started. Next: docs/$(if $(filter registry,$(what)),city,concentrator).md"; }

uninstall-city: what := registry
uninstall-concentrator: what := concentrator
uninstall-city: ## take the registry off this machine; what it kept stays, always
uninstall-concentrator: ## take a concentrator off this machine; what it kept stays, always
uninstall-city uninstall-concentrator:
	@[ -n "$(DESTDIR)" ] || systemctl disable -q --now $(if $(filter registry,$(what)),$(REGISTRY_UNITS),$(CONCENTRATOR_UNITS))
	@rm -rf "$(DESTDIR)/opt/snowgate-$(what)" "$(DESTDIR)/etc/sysusers.d/snowgate-$(what).conf" "$(DESTDIR)/etc/tmpfiles.d/snowgate-$(what).conf"; \
	for unit in systemd/$(what)/*; do rm -f "$(DESTDIR)/etc/systemd/system/$${unit##*/}"; done
	@[ -n "$(DESTDIR)" ] || systemctl daemon-reload

clean: ## remove what was built here
	@rm -rf build .venv *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis

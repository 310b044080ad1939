# The two commands of a newcomer: `make quickstart` shows it working, `make test` proves it.

.PHONY: help quickstart quickstart-stop test bench fuzz audit compose-test image-test sbom clean

help:
	@echo "make quickstart       build, start a registry and Tidewaiter, push a vulnerable image, show its verdict"
	@echo "make quickstart-stop  stop what the quick start left running"
	@echo "make test             format, lints, licences, every test, against real servers"
	@echo "make bench            measure the budgets of docs/performance.md"
	@echo "make fuzz             throw bytes at everything that parses the network's, FUZZ_SECONDS (60) a target"
	@echo "make audit            known vulnerabilities of what is linked, as far as advisories can be had"
	@echo "make compose-test     build the images and try docker-compose.yml with a Docker engine"
	@echo "make image-test       build the image twice and compare: the same bytes, and nothing in it that need not be"
	@echo "make sbom             what is linked into the binary, as CycloneDX and SPDX, into target/sbom"
	@echo "make clean            remove everything that was built or started here"

quickstart:
	@scripts/quickstart start

quickstart-stop:
	@scripts/quickstart stop

test:
	@scripts/test

bench:
	@scripts/bench

fuzz:
	@scripts/fuzz

audit:
	@scripts/audit

compose-test:
	@scripts/compose-test

image-test:
	@scripts/image-test

sbom:
	@scripts/sbom

clean:
	@scripts/quickstart stop || true
	@scripts/servers stop || true
	rm -rf .run
	cargo clean

# Berth: `make` builds, `make help` lists what else there is.

PREFIX  ?= /usr/local
BINDIR   = $(DESTDIR)$(PREFIX)/bin
LIBEXEC  = $(DESTDIR)$(PREFIX)/libexec/berth
DATADIR  = $(DESTDIR)$(PREFIX)/share

GO      ?= go
TAGS     = exclude_graphdriver_btrfs containers_image_openpgp seccomp apparmor
MODULE   = github.com/berth-containers/berth
VERSION := $(shell cat VERSION)
# Safe as root in somebody else's checkout, and without git or a repository.
COMMIT  := $(shell git -c safe.directory='*' describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
LDFLAGS  = -s -w -X $(MODULE)/internal/version.Version=$(VERSION) -X $(MODULE)/internal/version.Commit=$(COMMIT)
GOBUILD  = $(GO) build -trimpath -buildvcs=false -tags "$(TAGS)" -ldflags "$(LDFLAGS)"

export GOFLAGS =
comma := ,
space := $(subst ,, )
.DELETE_ON_ERROR:

.PHONY: all
all: bin/berth bin/berth-full bin/berth-monitor bin/berth-net cni ## build the programs, in bin/

# Go knows best what is out of date, so it is always asked.
.PHONY: FORCE
FORCE:

# berth has the frequent commands and starts fast; for all others it becomes berth-full.
# Static, it need not wait for the dynamic linker (docs/decisions/0047); `make STATIC=` where there are no static libraries.
STATIC = -linkmode external -extldflags -static
bin/berth: TAGS += lean osusergo netgo
bin/berth: LDFLAGS += $(STATIC)
bin/berth: GOBUILD += -modfile=bin/.lean/go.mod
bin/berth: bin/.lean/go.mod
bin/berth bin/berth-full: FORCE
	CGO_ENABLED=1 $(GOBUILD) -o $@ ./cmd/berth

# berth's modules, with what costs time at each start made later.
bin/.lean/go.mod: go.mod go.sum contrib/lean $(wildcard contrib/lean/*)
	contrib/lean/modules $(@D)

bin/berth-monitor: FORCE
	CGO_ENABLED=0 $(GOBUILD) -o $@ ./cmd/berth-monitor

bin/berth-net: FORCE
	CGO_ENABLED=0 $(GOBUILD) -o $@ ./cmd/berth-net

# The CNI plugins that Berth brings, of the version that go.mod names: those that it has as tools.
.PHONY: cni
cni: FORCE
	@mkdir -p bin/cni
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w" -o bin/cni/ $$($(GO) list -buildvcs=false tool | grep containernetworking)

# A registry that does wrong, for the tests.
bin/badregistry: FORCE
	CGO_ENABLED=0 $(GOBUILD) -o $@ ./test/tools/badregistry

# A registry with the referrers API.
bin/ociregistry: FORCE
	CGO_ENABLED=0 $(GOBUILD) -o $@ ./test/tools/ociregistry

# Buildah's library without Berth, to compare with.
bin/plainbuild: FORCE
	CGO_ENABLED=1 $(GOBUILD) -o $@ ./test/tools/plainbuild

# A program that uses the library, and nothing of cmd/.
bin/embed: FORCE
	CGO_ENABLED=1 $(GOBUILD) -o $@ ./test/tools/embed

# A program that uses it as a server would.
bin/server: FORCE
	CGO_ENABLED=1 $(GOBUILD) -o $@ ./test/tools/server

# A volume plugin.
bin/volumeplugin: FORCE
	CGO_ENABLED=0 $(GOBUILD) -o $@ ./test/tools/volumeplugin

.PHONY: test-tools
test-tools: bin/badregistry bin/ociregistry bin/plainbuild bin/embed bin/server bin/volumeplugin

.PHONY: hello
hello: ## build the image that bin/berth carries again, after a change of contrib/hello (needs gcc-aarch64-linux-gnu)
	$(GO) run -buildvcs=false ./contrib/hello -arch amd64 -cc gcc -o libctr/image/hello_amd64.tar
	$(GO) run -buildvcs=false ./contrib/hello -arch arm64 -cc aarch64-linux-gnu-gcc -o libctr/image/hello_arm64.tar

.PHONY: podman-table
podman-table: ## write docs/podman.md and test/podman/supported.txt: what of podman's commands there is
	@$(GO) test -trimpath -vet=off -tags "$(TAGS)" ./cmd/berth -count 1 -run TestPodmansCommands -update

.PHONY: env
env: ## print what `go build`, `go test` and an editor need: eval "$(make env)"
	@echo 'export GOFLAGS="-tags=$(subst $(space),$(comma),$(TAGS))"'

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: deps deps-build deps-run deps-test deps-vm
deps: deps-build deps-run deps-test deps-vm ## install the Debian packages of contrib/packages.txt
deps-build deps-run deps-test deps-vm: deps-%:
	@contrib/deps $*

.PHONY: demo
demo: deps-build deps-run ## build Berth and run a first container
	@$(MAKE) --no-print-directory all
	bin/berth run --rm hello

.PHONY: test
test: deps-build deps-run deps-test ## all tests but those in a guest, as root and as an ordinary user
	@$(MAKE) --no-print-directory all test-tools
	@test/run

.PHONY: test-go test-bats test-faults test-compat
test-go: deps-build deps-run deps-test ## the Go tests only
	@$(MAKE) --no-print-directory all
	@test/run go
test-bats: deps-build deps-run deps-test ## the bats tests only; FILES="test/run.bats" for some of them
	@$(MAKE) --no-print-directory all test-tools
	@test/run bats $(FILES)
test-faults: deps-build deps-run deps-test ## the tests of what bad input and faults get
	@$(MAKE) --no-print-directory all test-tools
	@test/run faults
test-compat: deps-run deps-test ## the shared bats tests with podman instead, against the list of differences
	@test/run compat

.PHONY: soak
soak: deps-build deps-run deps-test ## load and kills for SOAK_SECONDS (3600) each: whatever is in test/soak
	@$(MAKE) --no-print-directory all test-tools
	@enter=; [ "$$(id -u)" != 0 ] || enter=test/on-host; \
	for t in test/soak/*; do echo "== $$t"; KILLS=1000000 SOAK_SECONDS=$${SOAK_SECONDS:-3600} $$enter $$t || exit 1; done

.PHONY: test-vm
test-vm: deps-build deps-test deps-vm ## tests in a guest with systemd and cgroup v2 (20 minutes without KVM)
	@$(MAKE) --no-print-directory all
	@test/vm/run

.PHONY: bench
bench: deps-build deps-run deps-test ## measure Berth, podman and bare crun; write docs/performance.md
	@$(MAKE) --no-print-directory all
	@test/bench/run

SCRIPTS = $(shell git -c safe.directory='*' grep -lE '^\#!/(usr/bin/env |bin/)(ba)?sh' -- contrib test .ci)
BATS    = $(shell git -c safe.directory='*' ls-files '*.bats' '*.bash')

.PHONY: lint
lint: deps-build deps-test ## gofmt, go mod tidy, go vet, staticcheck and shellcheck
	@unformatted=$$(gofmt -l $$(git -c safe.directory='*' ls-files '*.go')); \
	  [ -z "$$unformatted" ] || { echo "gofmt would change:" $$unformatted; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet -trimpath -tags "$(TAGS)" ./...
	$(GO) vet -trimpath -tags "$(TAGS) lean" ./cmd/berth/...
	GOFLAGS=-trimpath $(GO) tool staticcheck -tags "$(TAGS)" ./...
	shellcheck -S warning -x -P SCRIPTDIR $(SCRIPTS)
	shellcheck -S warning -x -P SCRIPTDIR -s bats $(BATS)

.PHONY: install
install: $(if $(wildcard bin/berth bin/berth-full bin/berth-monitor bin/berth-net bin/cni),,all) ## install to PREFIX (/usr/local), below DESTDIR if given
	install -D -m 755 bin/berth $(BINDIR)/berth
	install -D -m 755 -t $(LIBEXEC) bin/berth-full bin/berth-monitor bin/berth-net
	install -D -m 755 -t $(LIBEXEC)/cni bin/cni/*
	install -d $(DATADIR)/bash-completion/completions $(DATADIR)/zsh/site-functions $(DATADIR)/fish/vendor_completions.d
	bin/berth completion bash >$(DATADIR)/bash-completion/completions/berth
	bin/berth completion zsh >$(DATADIR)/zsh/site-functions/_berth
	bin/berth completion fish >$(DATADIR)/fish/vendor_completions.d/berth.fish
	install -D -m 644 -t $(DATADIR)/doc/berth README.md CHANGELOG.md LICENSE docs/*.md
	bin/berth-full reference --man $(DATADIR)/man/man1
	bin/berth-full reference $(DATADIR)/doc/berth/reference
	install -d $(DATADIR)/berth
	cp -R contrib/parts contrib/boot $(DATADIR)/berth/

.PHONY: reference
reference: bin/berth-full ## write what make install installs of it, to read: docs/reference/*.md and docs/man/*.1
	bin/berth-full reference docs/reference
	bin/berth-full reference --man docs/man

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(BINDIR)/berth $(DATADIR)/bash-completion/completions/berth \
	  $(DATADIR)/zsh/site-functions/_berth $(DATADIR)/fish/vendor_completions.d/berth.fish
	rm -f $(DATADIR)/man/man1/berth.1 $(DATADIR)/man/man1/berth-*.1
	rm -rf $(LIBEXEC) $(DATADIR)/berth $(DATADIR)/doc/berth

.PHONY: clean
clean: ## remove bin/
	rm -rf bin

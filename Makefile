# make run     builds latchkey and serves on 127.0.0.1:9200, with its data in ./data
# make check   the quick part of the tests, for every few minutes
# make test    all that CI runs; as root on Debian it installs what it lacks beyond Go and make
# make build   the static binary bin/latchkey
# make bench   figures beside the limits of this machine
# make chaos   attacks the promise of a fleet with ever new faults; ARGS="-for 10m -seed 7"
# make profile takes the profile anew that the binary is optimized by (cmd/latchkey/default.pgo)

GO ?= go
TOOL = $(GO) tool -modfile=scripts/tools/go.mod
SOURCES = find . -name node_modules -prune -o -name '*.go' -print

.PHONY: build run check test prepare format vet staticcheck vulnerabilities race simulation postgres-versions conformance bench chaos profile
.NOTPARALLEL:

# The binary tells the revision that it was built from, where git knows it.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$$(git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false) -o bin/latchkey ./cmd/latchkey

run: build
	exec ./bin/latchkey serve $(ARGS)

check: format vet
	$(GO) test -short ./...

test: prepare build format vet staticcheck vulnerabilities race simulation postgres-versions conformance

prepare:
	./scripts/prepare

format:
	@unformatted=$$(gofmt -l $$($(SOURCES))) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted; run gofmt -w on:" $$unformatted >&2; exit 1; fi

vet:
	$(GO) vet ./...
	cd bench && $(GO) vet ./...

staticcheck:
	$(TOOL) staticcheck ./...

vulnerabilities:
	./scripts/vulnerabilities $(TOOL) govulncheck ./...

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

# thousands of schedules of a fleet, which the race detector has no room for
simulation:
	$(GO) test ./internal/fleet

# the store on the oldest and the newest PostgreSQL; race has the one that is installed
postgres-versions:
	./scripts/postgres-versions

conformance: build
	cd conformance && ./run

# figures beside the limits of this machine; some minutes, and it wants to be alone
bench:
	cd bench && $(GO) run . $(ARGS)

# for ten minutes unless told otherwise; beside it, every broken variant is shown to be seen
chaos:
	$(GO) test ./internal/chaos -count=1 -v -timeout 0 -args -for 10m $(ARGS)

# under the loads that matter most; some minutes, and it wants to be alone
profile:
	@dir=$$(mktemp -d) && trap 'rm -r "$$dir"' EXIT && \
	CGO_ENABLED=0 $(GO) build -trimpath -pgo=off -tags profile -o "$$dir/latchkey" ./cmd/latchkey && \
	(cd bench && LATCHKEY_CPU_PROFILES="$$dir" $(GO) run . -binary "$$dir/latchkey" -only cached,uncached,create,bearer,refresh $(ARGS)) && \
	$(GO) tool pprof -proto "$$dir"/*.pprof > cmd/latchkey/default.pgo

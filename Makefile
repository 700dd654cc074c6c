# Go, git and make are all that is needed. `make test` runs in minutes; `make test-all`
# builds the servers of others first (pinned in test/servers), once, into the user's cache.

GO ?= go
# By count: with a duration go test fails now and then at its own deadline.
FUZZTIME ?= 15000x
# In this order: what takes longest is begun first.
PACKAGES ?= ./test/keys ./test/clients ./test/soak ./proxy ./test/objects ./test/hostile ./test/attacks ./kms/... ./test/... ./...
STATICCHECK ?= $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Functions that have to be read twice: https://www.sonarsource.com/resources/cognitive-complexity/
GOCOGNIT ?= $(GO) run github.com/uudashr/gocognit/cmd/gocognit@v1.3.0

# The module is built with the Go that is here, and by it alone.
export GOTOOLCHAIN := local
export GOWORK := off

# Settings of the machine that would reach clients and servers under test.
unexport AWS_CA_BUNDLE AWS_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3

# The product as all test packages run it. Only the tests that are meant get what follows of
# the machine's own settings.
unexport S3PROXY_TEST_ALL S3PROXY_TEST_LONG S3PROXY_TEST_STEPS
PRODUCT := S3PROXY_TEST_BINARY="$(CURDIR)/bin/s3proxy"
ALL := S3PROXY_TEST_ALL=1

.PHONY: build sbom servers test test-all test-clients test-long test-hostile test-differential test-linearizable soak cover lint fuzz bench bench-growth bench-units

build:
	@echo 'building s3proxy: the first time this takes minutes'
	$(GO) build -o bin/s3proxy ./cmd/s3proxy

# What the binary is made of, with versions and licences.
sbom: build
	cd test/servers/cyclonedx && GOPROXY=off $(GO) tool cyclonedx-gomod bin -json -licenses -version "$${VERSION:-v0.0.0}" -output "$(CURDIR)/bin/s3proxy.cdx.json" "$(CURDIR)/bin/s3proxy"

servers:
	$(ALL) $(GO) run ./test/servers

# What lint vets is not vetted again: that would compile every dependency a second time.
# Four packages at once, on two cores too: some of them mostly wait.
test: build
	$(GO) run ./test/servers
	$(PRODUCT) $(GO) run ./test/report -- -short -p 4 -vet=off -timeout 20m $(PACKAGES)

# Tests of the command start their own binary, which must not write coverage data.
COMMAND := github.com/s3proxy/s3proxy/cmd/s3proxy
test-all: build servers
	$(PRODUCT) $(ALL) $(GO) test -count=1 -vet=off $(COMMAND)
	$(PRODUCT) $(ALL) $(GO) run ./test/report -slowest 20 -- -count=1 -p 2 -vet=off -cover -timeout 40m \
		$$($(GO) list -f '{{if ne .ImportPath "$(COMMAND)"}}{{.ImportPath}}{{end}}' $(PACKAGES))

# All clients, each at the stores themselves and through three replicas behind HAProxy; writes the
# table in docs/clients/README.md. CLIENT=restic runs one, and keeps the other rows.
test-clients: build servers
	$(PRODUCT) $(ALL) S3PROXY_TEST_CLIENTS=1 $(GO) test -count=1 -vet=off -timeout 4h -v -run 'TestEveryClient/$(CLIENT)' ./test/everyclient

test-long: build servers
	$(PRODUCT) $(ALL) S3PROXY_TEST_LONG=1 $(GO) run ./test/report -slowest 20 -- -count=1 -vet=off -timeout 120m $(PACKAGES)
	$(MAKE) fuzz FUZZTIME=2000000x

# All lies of a hostile store, and the requests of hostile clients; make test-all tells a share of the lies.
test-hostile: build servers
	$(PRODUCT) $(ALL) S3PROXY_TEST_LONG=1 $(GO) test -count=1 -timeout 30m -v ./test/hostile

# Random calls direct and through the proxy, compared; STEPS of them in each mode, and a seed to repeat: SEED=...
STEPS ?= 10000
test-differential: build servers
	$(PRODUCT) $(ALL) S3PROXY_TEST_STEPS=$(STEPS) $(GO) test -count=1 -timeout 12h -run TestRandomCalls -v ./test/random $(if $(SEED),-rapid.seed=$(SEED))

# Clients of three replicas meet at keys for minutes; make test-all has a few seconds of it.
test-linearizable: build servers
	$(PRODUCT) $(ALL) S3PROXY_TEST_LONG=1 $(GO) test -count=1 -timeout 30m -run TestOneKeyIsLinearizable -v ./test/random

# What the tests cover of the binary that they start, by package. Processes that are killed write
# nothing, nor does the embedded store, which may write to its objects alone. A few tests fail: those
# that want a line of output and nothing else.
COVERED ?= ./test/objects ./test/multipart ./test/running ./test/commands ./test/keys ./test/attacks
cover: servers
	$(GO) build -cover -coverpkg=github.com/s3proxy/s3proxy/... -o bin/s3proxy-cover ./cmd/s3proxy
	rm -rf bin/cover && mkdir -p bin/cover
	-GOCOVERDIR="$(CURDIR)/bin/cover" S3PROXY_TEST_BINARY="$(CURDIR)/bin/s3proxy-cover" $(ALL) $(GO) run ./test/report -- -count=1 -short -p 2 -vet=off -timeout 40m $(COVERED)
	$(GO) tool covdata percent -i=bin/cover

# Real clients on three replicas behind HAProxy, which are killed, as the store is, while the key is
# rotated; make test-all has a minute of it.
SOAK ?= 10m
soak: build servers
	$(PRODUCT) $(ALL) S3PROXY_TEST_SOAK=$(SOAK) $(GO) test -count=1 -timeout 12h -v ./test/soak

lint:
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GOCOGNIT) -over 20 -ignore '_test\.go$$|^test/|^kms/kmstest/' .

# go test fuzzes one target at a time. Each package is built once for all of its own.
fuzz:
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		$(GO) test -c -vet=off -fuzz . -o bin/fuzz.test $$dir; \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$dir/*_test.go); do \
			echo "$$target in $$dir, $(FUZZTIME)"; \
			(cd $$dir && "$(CURDIR)/bin/fuzz.test" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzcachedir "$$($(GO) env GOCACHE)/fuzz/s3proxy/$$dir"); \
		done; \
	done

# The proxy beside a plain reverse proxy and beside none, in front of MinIO: BENCH=quick takes minutes;
# docs/PERFORMANCE.md has the method, test/bench/settings_test.go all settings.
bench: build servers
	$(PRODUCT) $(ALL) $(GO) test -count=1 -vet=off -run '^$$' -bench 'BenchmarkS3$$' -benchtime 1x -timeout 12h ./test/bench

# Growth in clients, objects and replicas, calls of the KMS, and what settings cost:
# BENCH_PARTS=settings runs a part of it, and keeps what others have left in the folder.
bench-growth: build servers
	$(PRODUCT) $(ALL) $(GO) test -count=1 -vet=off -run '^$$' -bench 'BenchmarkS3Growth$$' -benchtime 1x -timeout 12h ./test/bench

# Go's benchmarks of packages, and of long lists.
bench-units: build servers
	$(PRODUCT) $(ALL) $(GO) test -vet=off -run '^$$' -bench '^Benchmark([^S]|S[^3])' -benchmem -timeout 60m $(PACKAGES)

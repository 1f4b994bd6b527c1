# `make` alone lists the targets. Files that are made at run time go to .carrel/, which git ignores.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Functions are built for Lambda's arm64 unless GOARCH is set. The local stack sets GOARCH of this machine.
GOARCH ?= arm64
# Without the commit's name in them: a function whose code has not changed stays the same binary, and is not replaced.
FLAGS := -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w'
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# AWS's own tools for the template. The first brings the other two.
SAM_TOOLS := aws-sam-cli==1.170.0 aws-sam-translator==1.115.0 cfn-lint==1.58.0
SAM := $(or $(shell command -v sam),.carrel/sam/bin/sam)
export SAM_CLI_TELEMETRY := 0
FUNCTIONS := Authorize Connect Disconnect Message Turn Sweep

STACK := .carrel/bin/carrel-local
ENGINE := infra/local/dynamodb/node_modules/.package-lock.json
PAGE := web/dist/index.html
AIMOCK := infra/models/node_modules/.package-lock.json
MCP := infra/mcp/node_modules/.package-lock.json
WEB := web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find web -path '*/node_modules' -prune -o -path web/dist -prune -o -path web/e2e -prune -o -path web/clients -prune -o -type f -print 2>/dev/null)

.PHONY: audit kills help run test check chat ops build clean meters bench verify-aws stack test-go test-page test-web test-browser check-go check-web check-template built deploy

help: ## this list
	@awk -F ': *[^#]*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything on this machine and print its address (PORT=, GATEWAY_PORT=, FRESH=1, BUILT=1); Ctrl-C stops it
	@$(MAKE) -s --no-print-directory -j3 stack $(PAGE) $(ENGINE) $(if $(BUILT),built)
	@exec $(STACK)

# The terminal programs find the stack through STATE, as make run does, or through CARREL_ENDPOINTS.
WHERE = $(if $(CARREL_ENDPOINTS)$(STATE),-endpoints "$(or $(CARREL_ENDPOINTS),$(STATE)/endpoints.json)")
.PHONY: cli-chat cli-ops cli-canary cli-page cli-probe
cli-chat cli-ops cli-canary cli-page cli-probe: cli-%:
	@go build -buildvcs=false -o .carrel/bin/carrel-$* ./infra/cli/$*

chat: cli-chat ## talk to the running stack from this terminal: make chat AS=alice (THREAD= goes on with one)
	@.carrel/bin/carrel-chat -as "$(or $(AS),alice)" $(if $(THREAD),-thread "$(THREAD)") $(WHERE)

ops: cli-ops ## list and stop runs, end sessions: make ops ARGS="list" (CARREL_STACK= for a deployed one); docs/operating.md
	@.carrel/bin/carrel-ops $(WHERE) $(if $(CARREL_STACK),-stack "$(CARREL_STACK)") $(or $(ARGS),list)

.PHONY: scopes
scopes: ## write the grants of agents.Grants into template.yaml and docs/deploying.md
	@go run ./infra/cli/scopes

.PHONY: usage-sample
usage-sample: ## print a made-up usage table, to paste into a message to the agent advisor (ARGS="-days 14 -seed 2")
	@go run ./infra/cli/usagesample $(ARGS)

.PHONY: mcp-pin
mcp-pin: ## write what the MCP servers of agents/mcp.yaml offer into agents/mcp.lock.json (SERVERS="a b"); docs/mcp.md
	@go run ./infra/cli/mcppin $(SERVERS)

.PHONY: page
page: cli-page $(PAGE) ## serve the page of a stack that has no CloudFront on this machine (CARREL_STACK=); docs/deploying.md
	@.carrel/bin/carrel-page $(if $(CARREL_STACK),-stack "$(CARREL_STACK)")

# With CARREL_STACK, the address and the tokens are those of the stack's machine clients: URL, TOKEN, TOKEN_A, TOKEN_B, TURN_FUNCTION.
PROBE = $(if $(CARREL_STACK),probe=$$(.carrel/bin/carrel-probe -stack "$(CARREL_STACK)") || exit 1; eval "$$probe";)
.PHONY: canary
canary: cli-canary $(if $(CARREL_STACK),cli-probe) ## two users of a running stack, one trying to reach the other (CARREL_STACK= or URL=wss://... for a deployed one); docs/operating.md
	@$(PROBE) .carrel/bin/carrel-canary $(if $(CARREL_STACK)$(URL),-url "$$URL") $(WHERE)

# Go's tests come first and the browser's after them: side by side they compete for the processors, and tests of either that
# compare times fail. What both need is made first. Vitest, written to a pipe, leaves Go's lines alone.
test: stack $(PAGE) $(ENGINE) $(AIMOCK) ## the tests before a change lands: unit, contract and system, with races and browser where this machine has the tools
	@$(MAKE) --no-print-directory -k test-go test-page

.PHONY: test-unit test-contract campaign campaign-go
test-unit: $(WEB) ## the tests beside the code, and the npm client's
	@go test ./agents/... ./shared/... ./functions/... && npm test --prefix web --silent

test-contract: $(ENGINE) ## the store on its engines, the local stack's fidelity, the template, IAM, tools
	@go test ./shared/store/... ./shared/tool/... ./infra/local/... ./infra/template ./infra/deploy

# The long tests, nightly or before a release. campaign-go has the tests of these packages that make test skips.
campaign: campaign-go test-witness audit soak folds mutants test-copilotkit ## every long test: models, races, second engine, audit, soak, mutants, CopilotKit (an hour and more)
campaign-go: $(ENGINE) $(MCP) ## the Go packages that have long tests, with them
	@CARREL_CAMPAIGN=1 go test -count=1 -race -p 2 -timeout 30m $(CAMPAIGN_PACKAGES)
CAMPAIGN_PACKAGES = $(shell git grep -l 'carrel/shared/campaign"' -- '*.go' | sed 's,/[^/]*$$,,; s,/storetest$$,,; s,^,./,' | sort -u)

test-page:
	@set -o pipefail; { $(MAKE) --no-print-directory test-web && $(MAKE) --no-print-directory test-browser; } | cat

check: check-go check-web check-template ## format, vet, lint, house rules, types and the template

build: $(addprefix build-one-,$(FUNCTIONS)) $(PAGE) ## the functions for Lambda (.carrel/build) and the page (web/dist)

deploy: ## the stack and the page to AWS (PARAMETERS="Name=value …", CARREL_STACK=, YES=1); docs/deploying.md
	@GOARCH=$$(go env GOHOSTARCH) go build -buildvcs=false -o .carrel/bin/carrel-deploy ./infra/deploy
	@SAM="$(SAM)" GOARCH=$(GOARCH) .carrel/bin/carrel-deploy

verify-aws: $(if $(CARREL_STACK),cli-probe) ## check on a deployed stack what the local stack assumes about AWS: make verify-aws CARREL_STACK=carrel, or URL=wss://...
	@$(PROBE) $(if $(CARREL_STACK),credentials=$$(aws configure export-credentials --format env) || exit 1; eval "$$credentials"; \
	  export AWS_REGION="$${AWS_REGION:-$${AWS_DEFAULT_REGION:-$$(aws configure get region)}}";) \
	if [ -z "$$URL" ] || [ -z "$$TOKEN$$TOKEN_ENDPOINT" ] || [ -z "$$AWS_REGION" ] || [ -z "$$AWS_ACCESS_KEY_ID" ] || [ -z "$$AWS_SECRET_ACCESS_KEY" ]; then \
	  echo "make verify-aws asks a deployed Carrel. Set CARREL_STACK=carrel, of a stack with Probe=on, or:"; \
	  echo "  URL=wss://...                the output WebSocket of the stack"; \
	  echo "  TOKEN=...                    an access token that it accepts, in the environment"; \
	  echo "  TOKEN_ENDPOINT=https://...   or where POST user=fidelity answers {\"access_token\"}"; \
	  echo "  AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)"; \
	  echo "                               with the rights execute-api:ManageConnections and lambda:InvokeFunction there"; \
	  echo "  TURN_FUNCTION=...            the name of the function turn; without it, five scenarios are skipped"; \
	  exit 1; \
	fi; \
	VERIFY_AWS=1 go test -count=1 -v -run TestDeployed ./infra/local/fidelity

# The deployer runs it once for each model: the first call subscribes to a model of Bedrock, and the errors name missing rights.
.PHONY: verify-model
verify-model: ## check a model against its real provider: make verify-model MODEL=openai:gpt-5 OPENAI_API_KEY=...; docs/models.md
	@if [ -z "$(MODEL)" ]; then \
	  echo "make verify-model calls a model. Set MODEL=provider:model and the provider's key, such as"; \
	  echo "  MODEL=openai:gpt-5 OPENAI_API_KEY=...       or, with AWS credentials and AWS_REGION,"; \
	  echo "  MODEL=bedrock:eu.anthropic.claude-sonnet-4-5-20250929-v1:0"; \
	  exit 1; \
	fi
	@MODEL="$(MODEL)" VERIFY_MODEL=1 go test -count=1 -v -run '^TestVerify' ./shared/model/models

meters: $(ENGINE) ## what AWS would bill for the reference turn, beside a naive emitter and the budget; docs/performance.md
	@set -o pipefail; CARREL_METERS=1 go test -count=1 -v -run 'TestReferenceTurn' ./infra/bench | grep -v '^=== \|^--- PASS\|^PASS\|^ok'

# Peers are installed in .carrel/bench/peers by the first run; QUICK=1 installs none. BENCH begins the name of a benchmark.
bench: $(ENGINE) ## Carrel beside its peers, with targets: one table, and raw lines in .carrel/bench (QUICK=1, BENCH=); docs/performance.md
	@CARREL_BENCH=$(CURDIR)/.carrel/bench/$$(date +%Y-%m-%dT%H-%M-%S) CARREL_BENCH_QUICK=$(QUICK) infra/bench/run '$(BENCH)'

# The checks start stacks of their own. Their tools are installed first; a check whose tool is missing counts as not run.
audit: $(ENGINE) $(WEB) .carrel/sam/bin/sam ## the isolation audit: the scorecard, in ≤ 10 min (QUICK=1, FULL=1, ROWS=C5); docs/audit.md
	@go build -o .carrel/bin/scorecard ./infra/audit/scorecard
	@.carrel/bin/scorecard -size $(if $(QUICK),quick,$(if $(FULL),full,normal)) -rows '$(ROWS)'

clean: ## remove all builds and the local state
	rm -rf .carrel web/dist web/node_modules web/clients/dist web/clients/node_modules web/clients/copilotkit/node_modules infra/local/dynamodb/node_modules .aws-sam

# The local stack's own program. It has the functions' flags, so that shared packages are compiled once.
stack:
	@mkdir -p .carrel/bin
	@CGO_ENABLED=0 go build $(FLAGS) -o $(STACK) ./infra/local

# SAM and the local stack call build-<LogicalId> with ARTIFACTS_DIR set: AuthorizeFunction is functions/authorize.
build-%Function:
	@mkdir -p "$(ARTIFACTS_DIR)"
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) go build $(FLAGS) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$(shell echo '$*' | tr A-Z a-z)

build-one-%:
	@$(MAKE) --no-print-directory build-$*Function ARTIFACTS_DIR=.carrel/build/$*Function

# The DynamoDB engine is one binary in an npm package. Where there is none, make run says what to set instead.
$(ENGINE): infra/local/dynamodb/package-lock.json
	@echo "installing the DynamoDB engine (once)" >&2
	@npm ci --prefix infra/local/dynamodb --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@mkdir -p $(@D) && touch $@

$(AIMOCK): infra/models/package-lock.json
	@echo "installing the imitation of model providers (once)" >&2
	@npm ci --prefix infra/models --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

$(MCP): infra/mcp/package-lock.json
	@echo "installing an MCP server and the protocol's conformance suite (once, 240 MB)" >&2
	@npm ci --prefix infra/mcp --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

.PHONY: test-mcp
test-mcp: $(ENGINE) $(MCP) ## MCP servers of other authors over the whole local stack, and the protocol's conformance suite
	@CARREL_CAMPAIGN=1 go test -count=1 -v ./infra/mcp

$(WEB): web/package-lock.json
	@echo "installing what the page is made of (once)" >&2
	@npm ci --prefix web --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

$(PAGE): $(WEB) $(WEB_SOURCES)
	@npm run build --prefix web --silent >/dev/null
	@touch $@

# Each layer that cannot run here says so; with CARREL_REQUIRE_ALL=1 (.ci/run) that is a failure.
missing = { echo "NOT RUN: $(1)"; [ -z "$$CARREL_REQUIRE_ALL" ]; }

# Go's tests in two parts, side by side. test-raced has the tests that run the code in their own process, with the race
# detector. test-driven has the tests that drive other processes: there the detector would find little, and it makes
# them half as slow again. The longest packages begin first.
# test-driven leaves out the tests that belong to a row of the scorecard: make audit QUICK=1 runs them. make check runs the
# tests of shared/arch, infra/template and infra/deploy.
RACED = ./shared/store $(shell go list ./agents/... ./functions/... ./infra/local/... ./shared/... | grep -v '/shared/arch$$')
DRIVEN = ./infra/audit/faults ./infra/cli/canary $(shell go list ./infra/... | grep -Ev '/infra/(local|deploy|template)(/|$$)')
ROW_TESTS = $(shell awk '/^func Test/ {name = $$2; sub(/[^A-Za-z0-9_].*/, "", name)} /Attr."row", "[A-E][0-9]: / {print name}' \
  $(wildcard infra/audit/*/*_test.go infra/cli/*/*_test.go infra/mutants/*_test.go infra/soak/*_test.go) | sort -u | paste -sd '|')
# Tests that run make must not inherit this make's flags.
GO_TEST = unset MAKEFLAGS MFLAGS && go test -vet=off -p $$(getconf _NPROCESSORS_ONLN) -shuffle=on
.PHONY: test-raced test-driven
test-go:
	@$(MAKE) --no-print-directory -k -j2 test-raced test-driven

test-raced: $(ENGINE)
	@if command -v gcc >/dev/null || command -v cc >/dev/null; then \
	  $(GO_TEST) -race $(RACED); \
	else \
	  $(call missing,the race detector: it needs a C compiler (Debian: apt-get install gcc libc6-dev)) && export CGO_ENABLED=0 && $(GO_TEST) $(RACED); \
	fi

test-driven: $(ENGINE)
	@$(GO_TEST) -skip '^($(ROW_TESTS))$$' $(DRIVEN)

test-web: $(WEB)
	@npm test --prefix web --silent

CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))
test-browser: stack $(PAGE) $(ENGINE)
	@if [ -n "$(CHROMIUM)" ]; then \
	  CHROMIUM=$(CHROMIUM) PORT=0 GATEWAY_PORT=0 STATE=.carrel/browser FRESH=1 $(STACK) -- npm run e2e --prefix web --silent; \
	else \
	  $(call missing,the page in a browser: it needs Chromium (Debian: apt-get install chromium)); \
	fi

# The front ends are installed apart from the page, whose own install stays small.
CLIENTS := web/clients/node_modules/.package-lock.json
$(CLIENTS): web/clients/package-lock.json
	@echo "installing the front ends of other authors (once, 230 MB)" >&2
	@npm ci --prefix web/clients --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

.PHONY: test-clients
test-clients: stack $(PAGE) $(ENGINE) $(CLIENTS) ## the npm client as it is published, under stock front ends in a browser (needs the npm registry; UPDATE=1 writes the table of docs/clients.md)
	@if [ -n "$(CHROMIUM)" ]; then \
	  node web/clients/pack.mjs && npm run check --prefix web/clients --silent && npm run build --prefix web/clients --silent >/dev/null && \
	  CHROMIUM=$(CHROMIUM) PORT=0 GATEWAY_PORT=0 STATE=.carrel/clients FRESH=1 $(STACK) -- npm test --prefix web/clients --silent && \
	  node web/clients/table.mjs $(if $(UPDATE),,check); \
	else \
	  $(call missing,the stock front ends in a browser: they need Chromium (Debian: apt-get install chromium)); \
	fi

# CopilotKit's chat alone installs 370 packages.
CHAT := web/clients/copilotkit/node_modules/.package-lock.json
$(CHAT): web/clients/copilotkit/package-lock.json
	@echo "installing CopilotKit (once, 500 MB)" >&2
	@npm ci --prefix web/clients/copilotkit --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

.PHONY: test-copilotkit
test-copilotkit: export COPILOTKIT = 1
test-copilotkit: stack $(PAGE) $(ENGINE) $(CLIENTS) $(CHAT) ## the npm client under CopilotKit's chat in a browser (needs the npm registry and Chromium)
	@node web/clients/pack.mjs && npm run build --prefix web/clients --silent >/dev/null && \
	CHROMIUM=$(CHROMIUM) PORT=0 GATEWAY_PORT=0 STATE=.carrel/copilotkit FRESH=1 $(STACK) -- npm test --prefix web/clients --silent

# The store's tests against a second DynamoDB, moto's server, which they start themselves: see docs/engines.md. A server
# uses one core, so half of the isolation suite, which takes longest, gets one of its own.
MOTO := moto[server]==5.2.5
HALF := 'TestStore/endpoint/Isolation/^"a'
WITNESS = CARREL_MOTO="$(CURDIR)/.carrel/moto/bin/moto_server" go test -count=1 ./shared/store
.PHONY: test-witness witness-half witness-rest
test-witness: .carrel/moto/bin/moto_server ## the store once more, on a second DynamoDB engine
	@if [ -x $< ]; then $(MAKE) --no-print-directory -j2 witness-half witness-rest; fi

witness-half:
	@$(WITNESS) -run $(HALF)

witness-rest:
	@$(WITNESS) -run /endpoint -skip $(HALF)

.carrel/moto/bin/moto_server: Makefile
	@if python3 -c 'import venv, ensurepip' 2>/dev/null; then \
	  python3 -m venv .carrel/moto && .carrel/moto/bin/pip -q install --disable-pip-version-check '$(MOTO)' && touch $@; \
	else \
	  $(call missing,the store against moto: it needs Python 3 with venv (Debian: apt-get install python3 python3-venv)); \
	fi

# The long forms of proofs that the suite runs briefly: see CONTRIBUTING.md.
FOR ?= 10m
RACES ?= 10000
MUTANTS ?= .
.PHONY: model races mutants
model: ## the model of the store for FOR (10m): random schedules of crashes, against docs/data.md
	@CARREL_CAMPAIGN=1 FOR=$(FOR) go test -count=1 -timeout 0 -v -run '^TestModel$$' ./shared/store

races: ## RACES (10000) admissions from four processes, then a check of every run
	@CARREL_CAMPAIGN=1 RACES=$(RACES) go test -count=1 -timeout 30m -v -run '^TestRaces$$' ./shared/store

mutants: ## remove each guard of the code: its test must fail (MUTANTS= a part of a name)
	@SCHEDULES=$(or $(SCHEDULES),3000) MUTANTS='$(MUTANTS)' go test -count=1 -timeout 0 -parallel 3 -v -run '^(TestGuardsAreMissed|TestEachLockAlone)$$' ./infra/mutants

.PHONY: locks
locks: $(ENGINE) ## attack each of the five locks with the others removed, and then without it
	@set -o pipefail; MUTANTS='^lock ' go test -count=1 -timeout 0 -v -run '^TestEachLockAlone$$' ./infra/mutants | grep -v '^=== '
	@set -o pipefail; CARREL_CAMPAIGN=1 go test -count=1 -timeout 10m -v -run '^TestLock|^TestWarmGlobal' ./infra/audit/locks | grep -E '^(---|ok|FAIL|panic|    lock)'

# FOR is two minutes unless it is given. SCHEDULES alone runs only schedules; without it 1,000 of them run as well.
.PHONY: soak
soak: $(ENGINE) ## users, devices and faults at random for FOR (2m), and 1,000 random schedules (SEED= again, SCHEDULES=)
	@$(if $(SCHEDULES),,CARREL_CAMPAIGN=1 FOR=$(if $(filter file,$(origin FOR)),2m,$(FOR)) go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./infra/soak &&) \
	  CARREL_CAMPAIGN=1 SCHEDULES=$(or $(SCHEDULES),1000) go test -count=1 -timeout 0 -v -run '^TestSchedules$$' ./infra/soak

# Each fuzz target as folder:name. shared/arch compares the list with the tree. The first are what .ci/run fuzzes: the frame
# decoder, the escaping of ids, the template's resolver, the arguments of tools, and the client's view.
FUZZ_EDGES := shared/wire:FuzzDecodeClient shared/internal/principal:FuzzKey infra/local/template:FuzzResolve \
  shared/tool:FuzzArguments shared/client:FuzzReceive
FUZZ := $(FUZZ_EDGES) agents/own/advisor:FuzzReadTables shared/wire:FuzzDecodeServer shared/wire:FuzzJoiner shared/internal/principal:FuzzFromKey \
  shared/store:FuzzKeys shared/store:FuzzUnpack shared/agui:FuzzEvent shared/gateway:FuzzParseInbound \
  shared/tool/calculator:FuzzEvaluate \
  shared/model/scripted:FuzzMessage infra/local/apigateway:FuzzFrames infra/local/apigateway:FuzzAuthorization \
  infra/local/lambda:FuzzValidTenant infra/local/lambda:FuzzLineWriter shared/visible:FuzzText \
  shared/model/internal/calls:FuzzCalls shared/model:FuzzHistory shared/model:FuzzChunks
# All faults of docs/faults.md, each test named with its number. make test runs the short ones.
.PHONY: faults
faults: $(ENGINE) ## each fault of docs/faults.md, whole
	@set -o pipefail; CARREL_CAMPAIGN=1 go test -count=1 -timeout 30m -v -run '^TestFault[0-9]' ./infra/audit/faults | grep -E '^(---|ok|FAIL|panic|    fault)'

KILLS ?= 3
kills: $(ENGINE) ## kill a run's process at each of its events, KILLS (3) times, and check that the run ends well
	@CARREL_CAMPAIGN=1 CARREL_KILLS=$(KILLS) go test -count=1 -timeout 20m -v -run TestFault35_WorkerKilledAtEachEvent ./infra/audit/faults

FUZZTIME ?= 20s
.PHONY: fuzz fuzz-edges
fuzz: ## every fuzz target for FUZZTIME (20s), one after the other
	@set -e; for target in $(FUZZ); do \
	  echo "$$target"; go test -run '^$$' -fuzz "^$${target#*:}\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s "./$${target%:*}"; \
	done

.PHONY: folds
folds: ## random event streams, folded by Go and by the npm client (COUNT=, SEED= again)
	@file=$$(mktemp) && trap 'rm -f "$$file"' EXIT && export FOLDS=$$file SEED=$(or $(SEED),$$(date +%s)) COUNT=$(or $(COUNT),10000) && \
	  go test -count=1 -v -run '^TestFolder_RandomStreams$$' ./shared/agui && npm test --prefix web -- client/test/fold.test.ts

# 10,000 runs through turn in one process: heap, goroutines and contexts before and after. make test has 60 of them.
.PHONY: warm
warm: $(ENGINE) ## 10,000 runs in one warm process, which must leave no memory, goroutine or context
	@CARREL_CAMPAIGN=1 CARREL_RUNS=$(or $(RUNS),10000) go test -count=1 -v -timeout 30m -run TestManyRuns ./functions/turn | grep -E 'runs in|ok|FAIL|---'

fuzz-edges:
	@$(MAKE) --no-print-directory fuzz FUZZ='$(FUZZ_EDGES)'

check-go:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these"; exit 1; }
	@go vet ./...
	@go run $(STATICCHECK) ./...
	@go mod tidy -diff
	@go test ./shared/arch

check-web: $(WEB)
	@npm run check --prefix web --silent

# The result of sam build for this machine's architecture, which BUILT=1 runs.
built:
	@command -v $(SAM) >/dev/null || { echo "BUILT=1 runs what the SAM CLI builds, and there is none: pip install aws-sam-cli, or make .carrel/sam/bin/sam" >&2; exit 1; }
	@mkdir -p .carrel
	@GOARCH=$$(go env GOHOSTARCH) $(SAM) build --parameter-overrides Architecture=$$(go env GOHOSTARCH | sed s/amd64/x86_64/) >.carrel/sam-build.log 2>&1 || { cat .carrel/sam-build.log; exit 1; }

# Lints the template, and the result of AWS's transform.
check-template: .carrel/sam/bin/sam $(ENGINE)
	@if [ -x $< ]; then \
	  $< validate --lint --region us-east-1 && \
	  AWS_DEFAULT_REGION=us-east-1 .carrel/sam/bin/python infra/template/transform.py template.yaml >.carrel/sam/transformed.json && \
	  .carrel/sam/bin/cfn-lint .carrel/sam/transformed.json; \
	fi
	@go test -count=1 ./infra/template ./infra/deploy

.carrel/sam/bin/sam: Makefile
	@if python3 -c 'import venv, ensurepip' 2>/dev/null; then \
	  python3 -m venv .carrel/sam && .carrel/sam/bin/pip -q install --disable-pip-version-check $(SAM_TOOLS) && touch $@; \
	else \
	  $(call missing,the SAM CLI and cfn-lint: they need Python 3 with venv (Debian: apt-get install python3-venv)); \
	fi

# `make` alone prints what there is. Everything that is made at run time goes to .carrel/.
SHELL := bash
GOARCH ?= arm64
BUILD := CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) go build -trimpath -tags lambda.norpc -ldflags '-s -w'

# SAM and the local stack call build-<LogicalId> with ARTIFACTS_DIR set: AuthorizeFunction is functions/authorize.
build-%Function:
	@mkdir -p "$(ARTIFACTS_DIR)"
	$(BUILD) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$(shell echo $* | tr A-Z a-z)

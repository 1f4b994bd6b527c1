#!/usr/bin/env bash
# Deploys the stack and then the page, which needs the stack's outputs. make deploy runs it in the repository's root.
#
#   SAM           the SAM CLI
#   PARAMETERS    the template's parameters: "Issuer=https://… Audience=…"; those not given stay as they are
#   CARREL_STACK  the stack's name (carrel)
#   GOARCH        arm64 or amd64, what the functions are built for
#   YES=1         do not ask before the changes are made
set -euo pipefail
export SAM_CLI_TELEMETRY=0

fail() { printf 'deploy: %s\n' "$1" >&2; exit 1; }

stack=${CARREL_STACK:-carrel}
case ${GOARCH:=arm64} in
  arm64) architecture=arm64 ;;
  amd64) architecture=x86_64 ;;
  *) fail "GOARCH must be arm64 or amd64, not $GOARCH" ;;
esac
export GOARCH

command -v "$SAM" >/dev/null || fail "there is no SAM CLI: pip install aws-sam-cli, or make .carrel/sam/bin/sam"
command -v aws >/dev/null || fail "there is no AWS CLI: install it as docs.aws.amazon.com/cli says"
aws sts get-caller-identity >/dev/null || fail "AWS takes no credentials of yours: aws configure, or aws sso login"
region=$(aws configure get region || true)
[ -n "${AWS_REGION:-${AWS_DEFAULT_REGION:-$region}}" ] || fail "no Region is chosen: set AWS_REGION, or aws configure"
command -v node >/dev/null || fail "there is no Node, which builds the page"

make --no-print-directory web/dist/index.html
"$SAM" build --parameter-overrides "Architecture=$architecture"
eval "parameters=(Architecture=$architecture ${PARAMETERS:-})" # as a shell reads them: a value with spaces stands in quotes
overrides=()
for parameter in "${parameters[@]}"; do
  overrides+=("${parameter%%=*}=\"${parameter#*=}\"") # SAM wants the quotes itself
done
"$SAM" deploy --stack-name "$stack" ${YES:+--no-confirm-changeset} --parameter-overrides "${overrides[@]}"

outputs=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Outputs' --output json)
output() {
  node -e 'const o = JSON.parse(process.argv[1]).find((o) => o.OutputKey === process.argv[2]);
    if (!o) { console.error(`deploy: the stack has no output ${process.argv[2]}`); process.exit(1); }
    console.log(o.OutputValue)' "$outputs" "$1"
}
config=$(mktemp)
trap 'rm -f "$config"' EXIT
# A line for each: of several on one line, only the last may fail.
websocket=$(output WebSocket)
issuer=$(output Issuer)
client=$(output PageClient)
scope=$(output PageScope)
bucket=$(output PageFiles)
distribution=$(output PageDistribution)
page=$(output Page)
node -e 'const [websocket, issuer, clientId, scope] = process.argv.slice(1);
  console.log(JSON.stringify({ websocket, issuer, clientId, scope }))' "$websocket" "$issuer" "$client" "$scope" > "$config"

# First what the new page needs, then the page; what old windows may still ask for goes last, and not the assets: their
# names tell their content.
aws s3 cp web/dist/assets "s3://$bucket/assets" --recursive --only-show-errors \
  --cache-control 'public, max-age=31536000, immutable'
aws s3 cp "$config" "s3://$bucket/config.json" --only-show-errors --content-type application/json --cache-control no-store
aws s3 cp web/dist "s3://$bucket" --recursive --exclude 'assets/*' --only-show-errors --cache-control no-cache
aws cloudfront create-invalidation --distribution-id "$distribution" --paths '/*' --output text >/dev/null

printf '%s   (websocket %s, issuer %s)\n' "$page" "$websocket" "$issuer"

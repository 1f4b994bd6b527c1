// Package fidelity is the list of what Carrel takes for granted of API Gateway and Lambda, one scenario for each, with
// its source. Each runs against the local stack's parts; those that a deployed stack can show run against one too (make
// verify-aws). docs/fidelity.md is made from the list. It holds tests only.
package fidelity

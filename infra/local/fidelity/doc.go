// Package fidelity lists the behaviour of API Gateway, Lambda and IAM that Carrel relies on: one scenario per
// behaviour, with its source. Each scenario runs against the parts of the local stack. Scenarios that a deployed stack
// can show also run against one (make verify-aws). docs/fidelity.md is generated from the list. The package holds tests
// only.
package fidelity

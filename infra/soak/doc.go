// Package soak lets made-up users do at random what users do, over the whole local stack while it fails at random, and
// judges the end by a model that knows only what was sent. It holds tests only; docs and commands are in
// CONTRIBUTING.md.
//
// A world has users, a user devices. Each device is a real client of shared/client with a plan of its own
// (plan_test.go), every step of which follows from the seed, the user, the device and the step's number alone. The
// weather (weather_test.go) decides what goes wrong. Every frame that reaches a socket is looked at as it comes
// (frames_test.go). What a run must say follows from its question: the oracle asks the scripted model (oracle_test.go).
// The judge compares (judge_test.go).
package soak

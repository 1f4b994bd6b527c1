// Package soak lets made-up users work at random over the whole local stack while faults strike at random. A model
// that knows only the sent requests then judges the result. The package holds tests only; CONTRIBUTING.md has the
// commands.
//
// A world has users, a user has devices. Each device is a real client of shared/client with a plan of its own
// (plan_test.go): each step follows from the seed, the user, the device and the number of the step alone. The injector
// (faults_test.go) decides which faults strike. A listener checks every frame as it reaches a socket (frames_test.go).
// The expected answer of a run follows from its question: the oracle asks the scripted model (oracle_test.go). The
// judge compares (judge_test.go, compare_test.go).
package soak

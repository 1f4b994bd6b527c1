// Package faults proves that no event is lost or doubled and that every run ends, whatever goes wrong: each fault of
// docs/faults.md is injected into a whole local stack of real processes, and the windows, the log and the table are
// compared afterwards. The tests are named with the fault's number. It holds tests only.
package faults

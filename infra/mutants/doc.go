// Package mutants takes the system's guards away, one at a time, and looks whether the test that is to notice does: a
// guard that nobody would miss is either not needed or not proven. It holds tests only: see TestGuardsAreMissed.
package mutants

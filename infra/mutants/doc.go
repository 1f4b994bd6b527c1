// Package mutants removes the system's guards, one at a time, and runs the test that must notice: a guard without such
// a test is either not needed or not proven. The package holds tests only: see TestGuardsAreMissed.
package mutants

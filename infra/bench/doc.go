// Package bench measures Carrel on the local stack. It holds benchmarks only. Because machines are noisy, each figure
// is compared with another figure from the same run.
package bench

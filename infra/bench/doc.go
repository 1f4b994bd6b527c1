// Package bench measures Carrel on the local stack. It holds benchmarks only; each figure stands beside a peer's from
// the same run, because machines are noisy.
package bench

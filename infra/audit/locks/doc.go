// Package locks attacks each of the five locks of docs/isolation.md. The tests TestLock… attack what one lock must stop
// by itself. infra/mutants runs them with the other locks taken out, and then with that lock taken out too. It holds
// tests only.
package locks

// Package locks attacks each of the five locks of docs/locks.md. Each test TestLock… attacks one lock.
// infra/mutants runs the test with the other locks taken out, where this lock alone must stop the attack, and then with
// this lock taken out too, where the attack must succeed. It holds tests only.
package locks

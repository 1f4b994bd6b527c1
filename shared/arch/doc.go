// Package arch holds this repository's rules as tests: which package may import which, no state in packages, no
// goroutine without an owner, sizes, comments, logs and prose. Each rule must notice planted violations. A rule or an
// exception that matches nothing any more fails too.
package arch

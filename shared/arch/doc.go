// Package arch is this repository's rules, as tests: what may import what, no state in packages, no goroutine without
// an owner, sizes, comments. Each rule has a planted violation beside it that it must notice. A rule or an exception
// that no longer fits anything fails as well.
package arch

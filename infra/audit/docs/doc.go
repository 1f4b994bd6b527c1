// Package docs proves that the documentation is true: its commands, snippets, numbers and names, and the commands of
// the README, which the test types. It holds tests only.
package docs

// Package lasthop proves the last hop, from a run to a connection: nothing is posted by a stale list or a record of
// another user, every violation is counted, and ordinary use counts none. It holds tests only.
package lasthop

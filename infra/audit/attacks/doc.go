// Package attacks proves that an attacker with accounts of their own reaches nothing of a victim: over raw sockets,
// with every frame, id, header and token that an attacker can send, to a whole local stack. Each test ends with the
// same verification: nothing of the victim was sent to the attacker, no item of another user has changed, and every
// refusal was counted. It holds tests only.
package attacks

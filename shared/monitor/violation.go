package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/base32"

	"carrel/shared/chat"
)

// Guard names a check that refused to mix the data of two users. Do not change a value: operators search the log for
// it.
type Guard string

// The guards.
const (
	// ConnectionOwner: the authorizer's user of a frame, a connect or a disconnect is not the user that the connection
	// is recorded for.
	ConnectionOwner Guard = "connection_owner"
	// ConnectionRecord: a record in the list of one user's connections was written for another user or another
	// connection.
	ConnectionRecord Guard = "connection_record"
	// Tenant: the user of an invocation differs from its tenant id, or from the owner of the run that it acts on.
	Tenant Guard = "tenant"
)

// ID identifies something that a violation is about. It is recorded as a hash, because clients choose some ids and may
// put any text into them.
type ID struct{ kind, value string }

// Request returns the request id of API Gateway or Lambda. It is recorded in clear, because it says nothing about a
// user.
func Request(id string) ID { return ID{"Request", id} }

// Connection returns the ID of a connection.
func Connection(id chat.ConnectionID) ID { return ID{"ConnectionHash", hash("connection", string(id))} }

// Thread returns the ID of a thread.
func Thread(id chat.ThreadID) ID { return ID{"ThreadHash", hash("thread", string(id))} }

// Run returns the ID of a run.
func Run(id chat.RunID) ID { return ID{"RunHash", hash("run", string(id))} }

// hash returns a short one-way hash of an id, or "" if the id is empty.
func hash(kind, id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("carrel " + kind + " " + id))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// Violation records that a guard refused to mix the data of two users. It records the guard, a hash of the requesting
// user u, and hashes of the ids in about, except empty ones. It never records content. It writes two lines before it
// returns: first the metric, then the line in the log.
func (m *Monitor) Violation(ctx context.Context, guard Guard, u chat.User, about ...ID) {
	record := map[string]any{"Guard": guard, "UserHash": u.Hash()}
	attributes := []any{"guard", string(guard), "user", u.Hash()}
	for _, id := range about {
		if id.value != "" {
			record[id.kind] = id.value
			attributes = append(attributes, id.kind, id.value)
		}
	}
	m.write([]Value{N(IsolationViolation, 1)}, record)
	m.log.ErrorContext(ctx, "isolation violation", attributes...)
}

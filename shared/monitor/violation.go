package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/base32"

	"carrel/shared/chat"
)

// Guard names what refused to mix two users. The names are kept as they are: alarms' readers look for them.
type Guard string

// The guards.
const (
	// ConnectionOwner: who the authorizer says that a frame, a connect or a disconnect is of is not whom its connection is
	// recorded for.
	ConnectionOwner Guard = "connection_owner"
	// ConnectionRecord: a record among one user's connections was written for another user, or for another connection.
	ConnectionRecord Guard = "connection_record"
	// Tenant: the user of an invocation is not whom its tenant id, or what it acts on, names.
	Tenant Guard = "tenant"
)

// ID is one id that a violation is about. It is recorded as a hash: what clients choose may hold anything.
type ID struct{ kind, value string }

// Request is API Gateway's or Lambda's id of what was asked, which is nobody's: it is recorded as it is.
func Request(id string) ID { return ID{"Request", id} }

// Connection is a connection that a violation is about.
func Connection(id chat.ConnectionID) ID { return ID{"ConnectionHash", hash("connection", string(id))} }

// Thread is a thread that a violation is about.
func Thread(id chat.ThreadID) ID { return ID{"ThreadHash", hash("thread", string(id))} }

// Run is a run that a violation is about.
func Run(id chat.RunID) ID { return ID{"RunHash", hash("run", string(id))} }

// hash is a short one-way name of an id; of none it is nothing.
func hash(kind, id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("carrel " + kind + " " + id))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// Violation records that a guard refused to mix two users: which guard, the hash of whose request it was, the hashes of
// what it was about. Content is never recorded. Both lines, the metric first, are written when it returns.
func (m *Monitor) Violation(ctx context.Context, guard Guard, u chat.User, about ...ID) {
	record := map[string]any{"Guard": guard, "UserHash": u.Hash()}
	told := []any{"guard", string(guard), "user", u.Hash()}
	for _, id := range about {
		if id.value != "" {
			record[id.kind] = id.value
			told = append(told, id.kind, id.value)
		}
	}
	m.write([]Value{N(IsolationViolation, 1)}, record)
	m.log.ErrorContext(ctx, "isolation violation", told...)
}

package store

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strings"

	"carrel/shared/chat"
)

// This file is the only place that builds keys. Every partition key begins with its owner, except the key of a
// connection's owner record. The separator '#' cannot occur in a user key, in an id from a client (checkID) or in an
// epoch, so no two records can have the same key.

// key is the primary key of an item.
type key struct{ pk, sk string }

func (k key) attributes() attributes { return attributes{"pk": text(k.pk), "sk": text(k.sk)} }

const (
	userPrefix       = "U#"
	ownerPrefix      = "C#"
	connectionPrefix = "CONN#"
	threadPrefix     = "THREAD#"
	runPrefix        = "RUN#"
	inputPrefix      = "IN#"
	recordPrefix     = "E#"
	transcriptPrefix = "M#"
	messageIDPrefix  = "I#"

	recentIndex        = "recent" // the name of the index and of its sort key
	recentThreadPrefix = "T#"
	recentRunPrefix    = "R#"
	erasurePrefix      = "ERASE#"
	notePrefix         = "notes#"

	queueSort       = "QUEUE"
	userErasureSort = "ERASURE" // the request to erase the user
	sessionsSort    = "SESSIONS"

	noteCounterSort = "NOTES" // outside the span of the notes, whose prefix is in lower case

	// belowAll and aboveAll enclose all sort keys.
	belowAll = "!"
	// aboveAll sorts after every id and number that may follow a prefix.
	aboveAll = "~"

	liveShards = 16
)

func userPartition(u chat.User) string { return userPrefix + u.Key() }

func (s *Store) queueKey() key { return key{s.pk, queueSort} }

func (s *Store) sessionsKey() key { return key{s.pk, sessionsSort} }

func (s *Store) connectionKey(id chat.ConnectionID) key {
	return key{s.pk, connectionPrefix + string(id)}
}

func (s *Store) threadKey(id chat.ThreadID) key { return key{s.pk, threadPrefix + string(id)} }

func (s *Store) runKey(id chat.RunID) key { return key{s.pk, runPrefix + string(id)} }

// inputKey has its own prefix. Below the prefix of the runs, a list of runs would read the inputs too and pay for them.
func (s *Store) inputKey(id chat.RunID, nonce string) key {
	return key{s.pk, inputPrefix + string(id) + "#" + nonce}
}

func (s *Store) erasureKey(e Erasure) key {
	return key{s.pk, erasurePrefix + string(e.Thread) + "#" + string(e.Epoch)}
}

func (s *Store) userErasureKey() key { return key{s.pk, userErasureSort} }

// toolPartition is the partition of the data that tools store for the user.
func (s *Store) toolPartition() string { return s.pk + "#D" }

// noteKey is in the partition of the tools.
func (s *Store) noteKey(id int) key {
	return key{s.toolPartition(), fmt.Sprintf("%s%06d", notePrefix, id)}
}

// noteCounterKey is in the same partition as the user's notes.
func (s *Store) noteCounterKey() key { return key{s.toolPartition(), noteCounterSort} }

func (s *Store) logPartition(id chat.ThreadID, epoch chat.Epoch) string {
	return s.logPrefix() + string(id) + "#" + string(epoch)
}

// messageIDKey is the key of the item that records that a message of the thread has this id.
func (s *Store) messageIDKey(id chat.ThreadID, epoch chat.Epoch, message string) key {
	return key{s.logPartition(id, epoch), messageIDPrefix + message}
}

// logPrefix is the common prefix of the partitions of the user's logs. No log of another user has it.
func (s *Store) logPrefix() string { return s.pk + "#T#" }

// recordSort and transcriptSort pad the number, so that the text sorts like the number.
func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", recordPrefix, seq) }

func transcriptSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", transcriptPrefix, seq) }

func ownerKey(id chat.ConnectionID) key { return key{ownerPrefix + string(id), "OWNER"} }

// liveShard returns the partition of the live index that holds all entries of one user. A failure record names its
// user by hash only, so one query finds the user's entries.
func liveShard(of chat.OwnerHash) string {
	h := fnv.New32a()
	h.Write([]byte(of)) // a hash.Hash never fails
	return shardName(int(h.Sum32() % liveShards))
}

func (s *Store) liveShard() string { return liveShard(chat.OwnerHash(s.user.Hash())) }

func shardName(n int) string { return fmt.Sprintf("L#%02d", n) }

// condition is the key condition of the span, on its index if it has one, else on the table.
func (q span) condition() string {
	return "#pk = :pk AND #" + cmp.Or(q.index, "sk") + " BETWEEN :low AND :high"
}

// whole is the span of a whole partition.
func whole(pk string) span { return span{pk: pk, low: belowAll, high: aboveAll} }

// beginning is the span of the items of a partition whose sort keys begin with prefix.
func beginning(pk, prefix string) span { return span{pk: pk, low: prefix, high: prefix + aboveAll} }

func (s *Store) connectionSpan() span { return beginning(s.pk, connectionPrefix) }

func (s *Store) threadSpan() span { return beginning(s.pk, threadPrefix) }

func (s *Store) runSpan() span { return beginning(s.pk, runPrefix) }

// threadClass is the first criterion by which a list of threads is sorted.
type threadClass byte

// The classes of threads. Lists show the highest class first.
const (
	archivedThread threadClass = '0'
	usualThread    threadClass = '1'
	pinnedThread   threadClass = '2'
)

// recentThread is a thread's sort key in the list of threads: class, then last use in milliseconds, then id.
func recentThread(class threadClass, used int64, id string) string {
	return fmt.Sprintf("%s%c#%013d#%s", recentThreadPrefix, class, used, id)
}

// splitRecentThread splits a thread's sort key in the list. A thread without one is a usual thread that was never used.
func splitRecentThread(recent string) (class threadClass, used int64) {
	class, used, ok := splitRecent(recentThreadPrefix, recent)
	if !ok {
		return usualThread, 0
	}
	return class, used
}

// splitRecent splits a sort key of the list with this prefix. ok is false for a text that is not such a sort key.
func splitRecent(prefix, recent string) (class threadClass, millis int64, ok bool) {
	rest, ok := strings.CutPrefix(recent, prefix)
	if ok && prefix == recentThreadPrefix {
		ok = len(rest) > 2 && rest[0] >= byte(archivedThread) && rest[0] <= byte(pinnedThread) && rest[1] == '#'
		if ok {
			class, rest = threadClass(rest[0]), rest[2:]
		}
	}
	digits, id, _ := strings.Cut(rest, "#")
	notDigit := func(c rune) bool { return c < '0' || c > '9' }
	if !ok || len(digits) != 13 || strings.ContainsFunc(digits, notDigit) || chat.CheckID(id) != nil {
		return 0, 0, false
	}
	for _, c := range digits {
		millis = 10*millis + int64(c-'0')
	}
	return class, millis, true
}

// recentRun is a run's sort key in the list of runs: time of admission, then id.
func recentRun(created int64, id string) string {
	return fmt.Sprintf("%s%013d#%s", recentRunPrefix, created, id)
}

// recentSpan is the span of a list's rows in the index, or of the rows after a cursor. It fails with ErrBadCursor for a
// cursor that the list with this prefix cannot have returned.
func (s *Store) recentSpan(prefix string, before chat.ListCursor) (span, error) {
	q := beginning(s.pk, prefix)
	q.index = recentIndex
	if before == "" {
		return q, nil
	}
	high, err := base64.RawURLEncoding.Strict().DecodeString(string(before))
	if _, _, ok := splitRecent(prefix, string(high)); err != nil || !ok {
		return q, ErrBadCursor
	}
	q.high = string(high)
	return q, nil
}

// listCursor returns a row's sort key in the form that clients receive.
func listCursor(recent string) chat.ListCursor {
	return chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(recent)))
}

func (s *Store) erasureSpan() span { return beginning(s.pk, erasurePrefix) }

func (s *Store) noteSpan() span { return beginning(s.toolPartition(), notePrefix) }

// recordSpan is the span of a log's records whose first sequence number is from low to high, and transcriptSpan that of
// its transcripts that begin at high or earlier.
func (s *Store) recordSpan(id chat.ThreadID, epoch chat.Epoch, low, high chat.Seq) span {
	return span{pk: s.logPartition(id, epoch), low: recordSort(low), high: recordSort(high)}
}

func (s *Store) transcriptSpan(id chat.ThreadID, epoch chat.Epoch, high chat.Seq) span {
	return span{pk: s.logPartition(id, epoch), low: transcriptSort(0), high: transcriptSort(high)}
}

// splitLiveKey splits the key of an entry of the live index into its user's key and the run or the erasure of a thread.
// The erasure of a whole user has neither.
func splitLiveKey(k key) (user string, run chat.RunID, e Erasure, err error) {
	user, isUser := strings.CutPrefix(k.pk, userPrefix)
	if isUser && k.sk == userErasureSort {
		return user, "", e, nil
	}
	if id, isRun := strings.CutPrefix(k.sk, runPrefix); isUser && isRun && chat.CheckID(id) == nil {
		return user, chat.RunID(id), e, nil
	}
	id, isErasure := strings.CutPrefix(k.sk, erasurePrefix)
	thread, epoch, _ := strings.Cut(id, "#")
	e = Erasure{chat.ThreadID(thread), chat.Epoch(epoch)}
	if !isUser || !isErasure || checkLog(e.Thread, e.Epoch) != nil {
		return "", "", e, fmt.Errorf("an entry of the live index is neither a run nor an erasure (sort key of %d bytes)",
			len(k.sk))
	}
	return user, "", e, nil
}

// checkID rejects an id that could change the structure of a key. what names the kind of id, for the error.
func checkID[ID ~string](what string, id ID) error {
	if err := chat.CheckID(string(id)); err != nil {
		return fmt.Errorf("%s id: %w", what, err)
	}
	return nil
}

// checkConnectionID is checkID for API Gateway's ids, which contain '='. It accepts printable characters except '#',
// below aboveAll: a list of connections ends at aboveAll.
func checkConnectionID(id chat.ConnectionID) error {
	outside := func(c rune) bool { return c < '!' || c >= '~' || c == '#' }
	if id == "" || len(id) > chat.MaxID || strings.ContainsFunc(string(id), outside) {
		return fmt.Errorf("connection id of %d bytes: %w", len(id), chat.ErrBadID)
	}
	return nil
}

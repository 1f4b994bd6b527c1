package store

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strings"

	"carrel/shared/chat"
)

// This file is the only place that builds a key. Every partition key begins with its owner but the connection-owner
// record's. The separator '#' stands in no user key, no id of a client (checkID) and no epoch of ours, so that no two
// things meet in one key.

// key is where an item is.
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

	recentIndex        = "recent" // also the attribute that it is sorted by
	recentThreadPrefix = "T#"
	recentRunPrefix    = "R#"
	erasurePrefix      = "ERASE#"
	notePrefix         = "notes#"

	queueSort       = "QUEUE"
	userErasureSort = "ERASURE" // what remembers that a user is to be erased
	sessionsSort    = "SESSIONS"

	noteCounterSort = "NOTES" // outside of the span of notes, whose prefix is in lower case

	// belowAll and aboveAll stand around all sort keys.
	belowAll = "!"
	// aboveAll sorts behind every id and number that may follow a prefix.
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

// inputKey is not among the runs' keys: a list of runs would read, and pay for, all that was asked.
func (s *Store) inputKey(id chat.RunID, nonce string) key {
	return key{s.pk, inputPrefix + string(id) + "#" + nonce}
}

func (s *Store) erasureKey(e Erasure) key {
	return key{s.pk, erasurePrefix + string(e.Thread) + "#" + string(e.Epoch)}
}

func (s *Store) userErasureKey() key { return key{s.pk, userErasureSort} }

// toolPartition is what tools keep for the user.
func (s *Store) toolPartition() string { return s.pk + "#D" }

// noteKey is in the partition of what tools keep.
func (s *Store) noteKey(id int) key {
	return key{s.toolPartition(), fmt.Sprintf("%s%06d", notePrefix, id)}
}

// noteCounterKey is beside the user's notes.
func (s *Store) noteCounterKey() key { return key{s.toolPartition(), noteCounterSort} }

func (s *Store) logPartition(id chat.ThreadID, epoch chat.Epoch) string {
	return s.logPrefix() + string(id) + "#" + string(epoch)
}

// messageIDKey is where a thread notes that one of its messages has this id.
func (s *Store) messageIDKey(id chat.ThreadID, epoch chat.Epoch, message string) key {
	return key{s.logPartition(id, epoch), messageIDPrefix + message}
}

// logPrefix is how the partitions of all of the user's logs begin, and of nobody else's.
func (s *Store) logPrefix() string { return s.pk + "#T#" }

// recordSort and transcriptSort are padded, so that text sorts as the numbers do.
func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", recordPrefix, seq) }

func transcriptSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", transcriptPrefix, seq) }

func ownerKey(id chat.ConnectionID) key { return key{ownerPrefix + string(id), "OWNER"} }

// liveShard is the partition of the live index that has every entry of one user. A failure record names the user by hash
// only, and this way one query finds the user's entries.
func liveShard(of chat.OwnerHash) string {
	h := fnv.New32a()
	h.Write([]byte(of)) // a hash.Hash never fails
	return shardName(int(h.Sum32() % liveShards))
}

func (s *Store) liveShard() string { return liveShard(chat.OwnerHash(s.user.Hash())) }

func shardName(n int) string { return fmt.Sprintf("L#%02d", n) }

// condition is what the keys of a span's items have: its index's if it has one, else the table's.
func (q span) condition() string {
	return "#pk = :pk AND #" + cmp.Or(q.index, "sk") + " BETWEEN :low AND :high"
}

// whole is all of a partition.
func whole(pk string) span { return span{pk: pk, low: belowAll, high: aboveAll} }

// beginning is all of a partition whose sort keys begin so.
func beginning(pk, prefix string) span { return span{pk: pk, low: prefix, high: prefix + aboveAll} }

func (s *Store) connectionSpan() span { return beginning(s.pk, connectionPrefix) }

func (s *Store) threadSpan() span { return beginning(s.pk, threadPrefix) }

func (s *Store) runSpan() span { return beginning(s.pk, runPrefix) }

// threadClass is the first order of a list of threads.
type threadClass byte

// The classes of threads, the last of which comes first.
const (
	archivedThread threadClass = '0'
	usualThread    threadClass = '1'
	pinnedThread   threadClass = '2'
)

// recentThread is a thread's place in its user's list: by class, then by last use in milliseconds, then by id.
func recentThread(class threadClass, used int64, id string) string {
	return fmt.Sprintf("%s%c#%013d#%s", recentThreadPrefix, class, used, id)
}

// splitRecentThread takes a thread's place apart; a thread without one is a usual one that was never used.
func splitRecentThread(recent string) (class threadClass, used int64) {
	class, used, ok := splitRecent(recentThreadPrefix, recent)
	if !ok {
		return usualThread, 0
	}
	return class, used
}

// splitRecent takes a place in the list of this prefix apart. ok is false for all that no list has made.
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

// recentRun is a run's place in its user's list: by when it was admitted, then by id.
func recentRun(created int64, id string) string {
	return fmt.Sprintf("%s%013d#%s", recentRunPrefix, created, id)
}

// recentSpan is a list's rows in the index, and those behind a cursor, which it must have made: of a list with another
// prefix it makes others. It fails with ErrBadCursor.
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

// listCursor is a row's place as clients get it.
func listCursor(recent string) chat.ListCursor {
	return chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(recent)))
}

func (s *Store) erasureSpan() span { return beginning(s.pk, erasurePrefix) }

func (s *Store) noteSpan() span { return beginning(s.toolPartition(), notePrefix) }

// recordSpan is a log's records that begin from low to high, transcriptSpan its transcripts that begin at high or earlier.
func (s *Store) recordSpan(id chat.ThreadID, epoch chat.Epoch, low, high chat.Seq) span {
	return span{pk: s.logPartition(id, epoch), low: recordSort(low), high: recordSort(high)}
}

func (s *Store) transcriptSpan(id chat.ThreadID, epoch chat.Epoch, high chat.Seq) span {
	return span{pk: s.logPartition(id, epoch), low: transcriptSort(0), high: transcriptSort(high)}
}

// splitLiveKey takes the key of an item of the live index apart: the key of its user, and the run or the erasure, neither
// of which is the erasure of the user.
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
		return "", "", e, fmt.Errorf("an entry of the live index is neither a run's nor an erasure's (sort key of %d bytes)", len(k.sk))
	}
	return user, "", e, nil
}

// checkID keeps what could leave its place in a key out of keys. what names the thing, for the error.
func checkID[ID ~string](what string, id ID) error {
	if err := chat.CheckID(string(id)); err != nil {
		return fmt.Errorf("%s id: %w", what, err)
	}
	return nil
}

// checkConnectionID is checkID for API Gateway's ids, which contain '=': printable characters but '#', below aboveAll, or
// a list of connections would end before them.
func checkConnectionID(id chat.ConnectionID) error {
	outside := func(c rune) bool { return c < '!' || c >= '~' || c == '#' }
	if id == "" || len(id) > chat.MaxID || strings.ContainsFunc(string(id), outside) {
		return fmt.Errorf("connection id of %d bytes: %w", len(id), chat.ErrBadID)
	}
	return nil
}

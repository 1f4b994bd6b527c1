package store

import (
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
	erasurePrefix    = "ERASE#"
	notePrefix       = "notes#"

	deskSort     = "DESK"
	forgetSort   = "FORGET" // what remembers that a user is to be erased
	sessionsSort = "SESSIONS"

	// belowAll and aboveAll stand around all sort keys.
	belowAll = "!"
	// aboveAll sorts behind every id and number that may follow a prefix.
	aboveAll = "~"

	liveShards = 16
)

func userPartition(u chat.User) string { return userPrefix + u.Key() }

func (s *Store) deskKey() key { return key{s.pk, deskSort} }

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

func (s *Store) forgetKey() key { return key{s.pk, forgetSort} }

// toolPartition is what tools keep for the user.
func (s *Store) toolPartition() string { return s.pk + "#D" }

// noteKey is in the partition of what tools keep.
func (s *Store) noteKey(id int) key {
	return key{s.toolPartition(), fmt.Sprintf("%s%06d", notePrefix, id)}
}

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
func liveShard(of chat.Mark) string {
	h := fnv.New32a()
	h.Write([]byte(of)) // a hash.Hash never fails
	return shardName(int(h.Sum32() % liveShards))
}

func (s *Store) liveShard() string { return liveShard(chat.Mark(s.user.Hash())) }

func shardName(n int) string { return fmt.Sprintf("L#%02d", n) }

// whole is all of a partition.
func whole(pk string) span { return span{pk: pk, low: belowAll, high: aboveAll} }

// beginning is all of a partition whose sort keys begin so.
func beginning(pk, prefix string) span { return span{pk: pk, low: prefix, high: prefix + aboveAll} }

func (s *Store) connectionSpan() span { return beginning(s.pk, connectionPrefix) }

func (s *Store) threadSpan() span { return beginning(s.pk, threadPrefix) }

func (s *Store) runSpan() span { return beginning(s.pk, runPrefix) }

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
	if isUser && k.sk == forgetSort {
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

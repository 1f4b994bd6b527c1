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

const (
	connectionPrefix = "CONN#"
	threadPrefix     = "THREAD#"
	runPrefix        = "RUN#"
	inputPrefix      = "IN#"
	recordPrefix     = "E#"
	transcriptPrefix = "M#"
	erasurePrefix    = "ERASE#"
	notePrefix       = "notes#"

	deskSort   = "DESK"
	forgetSort = "FORGET" // what remembers that a user is to be erased

	// belowAll and aboveAll stand around all sort keys.
	belowAll = "!"
	// aboveAll sorts behind every id and number that may follow a prefix.
	aboveAll = "~"

	liveShards = 16
)

func userPartition(u chat.User) string { return "U#" + u.Key() }

func (s *Store) deskKey() key { return key{s.pk, deskSort} }

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
	return s.pk + "#T#" + string(id) + "#" + string(epoch)
}

// recordSort and transcriptSort are padded, so that text sorts as the numbers do.
func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", recordPrefix, seq) }

func transcriptSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", transcriptPrefix, seq) }

func ownerKey(id chat.ConnectionID) key { return key{"C#" + string(id), "OWNER"} }

// liveShard spreads the live index, of runs and of threads that are erased, over its partitions.
func (s *Store) liveShard(id string) string {
	h := fnv.New32a()
	h.Write([]byte(s.pk + "#" + id)) // a hash.Hash never fails
	return shardName(int(h.Sum32() % liveShards))
}

func shardName(n int) string { return fmt.Sprintf("L#%02d", n) }

// splitLiveKey takes the key of an item of the live index apart: the key of its user, and the run or the erasure, neither
// of which is the erasure of the user.
func splitLiveKey(k key) (user string, run chat.RunID, e Erasure, err error) {
	user, isUser := strings.CutPrefix(k.pk, "U#")
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

// checkConnectionID is checkID for API Gateway's ids, which contain '='.
func checkConnectionID(id chat.ConnectionID) error {
	if id == "" || len(id) > chat.MaxID || strings.ContainsAny(string(id), "#~") {
		return fmt.Errorf("connection id of %d bytes: %w", len(id), chat.ErrBadID)
	}
	return nil
}

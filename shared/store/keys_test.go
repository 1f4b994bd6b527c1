package store

import (
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// FuzzKeys: for any two users and any two ids that are taken, no two things meet in one key, all of a user's lie below the
// user's own partition and in nobody else's, and a run's key tells whose it is.
func FuzzKeys(f *testing.F) {
	f.Add("bob", "bobby", "t", "t1")
	f.Add("a", "a#T#t", "t:e", "t")
	f.Add("h", "h=AA", "IN", "E#1")
	f.Add("a#b", "a=23b", "DESK", "~")
	f.Fuzz(func(t *testing.T, subjectA, subjectB, idA, idB string) {
		if subjectA == "" || subjectB == "" || chat.CheckID(idA) != nil || chat.CheckID(idB) != nil {
			return
		}
		a := &Store{user: chattest.User(t, subjectA), pk: userPartition(chattest.User(t, subjectA))}
		b := &Store{user: chattest.User(t, subjectB), pk: userPartition(chattest.User(t, subjectB))}
		owner := map[key]string{}
		for _, thing := range append(things(a, idA), things(b, idB)...) {
			if what, there := owner[thing.key]; there && what != thing.what {
				t.Fatalf("%s and %s meet in %q", what, thing.what, thing.key)
			}
			owner[thing.key] = thing.what
			if thing.s != nil {
				below(t, thing, a, b)
			}
		}
		user, run, _, err := splitLiveKey(a.runKey(chat.RunID(idA)))
		if err != nil || user != a.user.Key() || string(run) != idA {
			t.Fatalf("%q is taken for run %q of %q: %v", a.runKey(chat.RunID(idA)), run, user, err)
		}
	})
}

// thing is something of a user's that has a key; s is nil for the owner of a connection, which is nobody's.
type thing struct {
	what string
	s    *Store
	key  key
}

func things(s *Store, id string) []thing {
	of := s.pk + " " + id + " "
	record := s.logPartition(chat.ThreadID(id), chat.Epoch(id))
	return []thing{
		{"connection " + id, nil, ownerKey(chat.ConnectionID(id))},
		{of + "connection", s, s.connectionKey(chat.ConnectionID(id))},
		{of + "thread", s, s.threadKey(chat.ThreadID(id))},
		{of + "run", s, s.runKey(chat.RunID(id))},
		{of + "input", s, s.inputKey(chat.RunID(id), id)},
		{s.pk + " desk", s, s.deskKey()},
		{of + "record", s, key{record, recordSort(1)}},
		{of + "transcript", s, key{record, transcriptSort(1)}},
	}
}

// below checks that a key lies where its owner's policy reaches, and the other user's does not.
func below(t *testing.T, th thing, users ...*Store) {
	t.Helper()
	for _, u := range users {
		reaches := th.key.pk == u.pk || strings.HasPrefix(th.key.pk, u.pk+"#")
		if reaches != (u.pk == th.s.pk) {
			t.Fatalf("%s is %q: that it lies below %q is %v", th.what, th.key, u.pk, reaches)
		}
	}
}

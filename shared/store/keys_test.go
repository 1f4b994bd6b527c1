package store

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// FuzzKeys checks the keys of two users and two ids. No two things have the same key. All keys of a user lie in the
// user's own partitions, and none in those of another user. A query finds exactly its own things, none of other threads
// and none of other users. An entry of the live index names its owner.
func FuzzKeys(f *testing.F) {
	f.Attr("row", "B3: no key of a user lies among another user's keys")
	for _, seed := range [][4]string{
		{"bob", "bobby", "t", "t1"}, {"a", "a#T#t", "t:e", "t"}, {"a", "b", "t", "tt"}, {"h", "h=AA", "IN", "E"},
		{"a#b", "a=23b", "QUEUE", "THREAD"},
		{"a", "a#D", "t1", "t1:"}, {"a", "a~", "D", "T"}, {"a!", "a", "E", "M"}, {"a.", "a-", "t.1", "t-1"},
		{"a_", "a=", "-", "."},
		{"a", "a#", "ERASURE", "OWNER"}, {"Bob", "bob", "T1", "t1"}, {"é", "e\u0301", "_", ":"},
		{"bob", "bob ", "x", "x-"},
		{strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("t", 128), strings.Repeat("t", 127)},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, subjectA, subjectB, idA, idB string) {
		if subjectA == "" || subjectB == "" || chat.CheckID(idA) != nil || chat.CheckID(idB) != nil {
			return
		}
		var all []thing
		var queries []query
		stores := []*Store{storeOf(t, subjectA), storeOf(t, subjectB)}
		for _, s := range stores {
			things, spans := furnished(s, []string{idA, idB})
			all, queries = append(all, things...), append(queries, spans...)
		}
		// the ids of connections have any length and any characters
		for _, socket := range []string{subjectA, subjectB, idA, idB} {
			if checkConnectionID(chat.ConnectionID(socket)) == nil {
				all = append(all, sockets(stores, socket)...)
			}
		}
		owner := map[key]string{}
		for _, th := range all {
			if what, there := owner[th.key]; there && what != th.what {
				t.Fatalf("%s and %s have the same key %q", what, th.what, th.key)
			}
			owner[th.key] = th.what
			below(t, th, stores)
			th.queried(t, queries)
			th.live(t)
		}
	})
}

func storeOf(t *testing.T, subject string) *Store {
	u := chattest.User(t, subject)
	return &Store{user: u, pk: userPartition(u)}
}

// thing is an item with its key. s is nil for the owner record of a connection, which lies in no user's partition.
type thing struct {
	by   string // the function of keys.go that builds the key
	what string
	s    *Store
	key  key
	of   []string // the queries that must find it
	// recent is its sort key in the index of lists, or "" if it is not in the index.
	recent string
}

// query is a span of keys that is read or erased.
type query struct {
	by, what string
	span     span
}

// furnished returns all things of one user with one of the ids, and all queries for them.
func furnished(s *Store, ids []string) (things []thing, queries []query) {
	own := s.pk + " all"
	put := func(by, what string, k key, of ...string) {
		things = append(things, thing{by: by, what: s.pk + " " + what, s: s, key: k, of: of})
	}
	ask := func(by, what string, q span) string {
		queries = append(queries, query{by, s.pk + " " + what, q})
		return s.pk + " " + what
	}
	ask("whole", "all", whole(s.pk))
	tools, notes := ask("whole", "tools", whole(s.toolPartition())), ask("noteSpan", "notes", s.noteSpan())
	threads, runs := ask("threadSpan", "threads", s.threadSpan()), ask("runSpan", "runs", s.runSpan())
	listed, listedRuns := ask("recentSpan", "list of threads", recentOf(s, recentThreadPrefix, "")),
		ask("recentSpan", "list of runs", recentOf(s, recentRunPrefix, ""))
	behindThreads := ask("recentSpan", "older threads", recentOf(s, recentThreadPrefix,
		recentThread(usualThread, 8, "x")))
	behindRuns := ask("recentSpan", "older runs", recentOf(s, recentRunPrefix, recentRun(8, "x")))
	erasures := ask("erasureSpan", "erasures", s.erasureSpan())
	ask("connectionSpan", "connections", s.connectionSpan())
	put("queueKey", "desk", s.queueKey(), own)
	put("userErasureKey", "forgetting", s.userErasureKey(), own)
	put("sessionsKey", "sessions", s.sessionsKey(), own)
	put("noteCounterKey", "note counter", s.noteCounterKey(), tools)
	put("noteKey", "note 1", s.noteKey(1), tools, notes)
	put("noteKey", "last note", s.noteKey(lastNote), tools, notes)
	for _, id := range ids {
		put("threadKey", "thread "+id, s.threadKey(chat.ThreadID(id)), own, threads, listed, behindThreads)
		things[len(things)-1].recent = recentThread(usualThread, 7, id)
		put("threadKey", "thread "+id, s.threadKey(chat.ThreadID(id)), own, threads, listed)
		things[len(things)-1].recent = recentThread(pinnedThread, 6, id)
		put("runKey", "run "+id, s.runKey(chat.RunID(id)), own, runs, listedRuns, behindRuns)
		things[len(things)-1].recent = recentRun(7, id)
		for _, epoch := range ids {
			th, ep, of := chat.ThreadID(id), chat.Epoch(epoch), id+" "+epoch
			put("inputKey", "input "+of, s.inputKey(chat.RunID(id), epoch), own)
			put("erasureKey", "erasure "+of, s.erasureKey(Erasure{th, ep}), own, erasures)
			put("messageIDKey", "message id "+of, s.messageIDKey(th, ep, epoch), s.pk+" log "+of)
			log := ask("whole", "log "+of, whole(s.logPartition(th, ep)))
			records := ask("recordSpan", "records "+of, s.recordSpan(th, ep, 0, lastSeq))
			some := ask("recordSpan", "records 2 to 10 "+of, s.recordSpan(th, ep, 2, 10))
			transcripts := ask("transcriptSpan", "transcripts "+of, s.transcriptSpan(th, ep, lastSeq))
			first := ask("transcriptSpan", "transcripts to 9 "+of, s.transcriptSpan(th, ep, 9))
			for seq, found := range map[chat.Seq][2][]string{
				1: {{log, records}, {log, transcripts, first}}, 9: {{log, records, some}, {log, transcripts, first}},
				10: {{log, records, some}, {log, transcripts}}, lastSeq: {{log, records}, {log, transcripts}},
			} {
				put("recordSort", fmt.Sprint("record ", seq, of), key{s.logPartition(th, ep), recordSort(seq)},
					found[0]...)
				put("transcriptSort", fmt.Sprint("transcript ", seq, of),
					key{s.logPartition(th, ep), transcriptSort(seq)}, found[1]...)
			}
		}
	}
	return things, queries
}

// recentOf returns the span of a list, or its part after a cursor.
func recentOf(s *Store, prefix, place string) span {
	q, err := s.recentSpan(prefix, listCursor(place))
	if err != nil {
		panic(err) // the test has built a wrong cursor
	}
	return q
}

// sockets returns a connection with this id for each of the users.
func sockets(stores []*Store, id string) []thing {
	all := []thing{{by: "ownerKey", what: "owner of " + id, key: ownerKey(chat.ConnectionID(id))}}
	for _, s := range stores {
		k := s.connectionKey(chat.ConnectionID(id))
		all = append(all, thing{by: "connectionKey", what: s.pk + " connection " + id, s: s, key: k,
			of: []string{s.pk + " all", s.pk + " connections"}})
	}
	return all
}

// below checks that only the policy of its owner reaches a key, and only the scan for the logs of its owner.
func below(t *testing.T, th thing, users []*Store) {
	t.Helper()
	for _, u := range users {
		mine := th.s != nil && u.pk == th.s.pk
		if reaches := th.key.pk == u.pk || strings.HasPrefix(th.key.pk, u.pk+"#"); reaches != mine {
			t.Fatalf("%s has the key %q: that the policy for %q reaches it is %v", th.what, th.key, u.pk, reaches)
		}
		if strings.HasPrefix(th.key.pk, u.logPrefix()) && !mine {
			t.Fatalf("%s has the key %q: %q treats it as a log", th.what, th.key, u.pk)
		}
	}
}

// queried checks which queries find a thing.
func (th thing) queried(t *testing.T, queries []query) {
	t.Helper()
	for _, q := range queries {
		place := th.key.sk
		if q.span.index != "" {
			place = th.recent
		}
		found := th.key.pk == q.span.pk && q.span.low <= place && place <= q.span.high
		if found != slices.Contains(th.of, q.what) {
			t.Fatalf("%s has the key %q: that %s finds it is %v", th.what, th.key, q.what, found)
		}
	}
}

// live checks that the live index names the owner of a run or an erasure, and treats nothing else as one.
func (th thing) live(t *testing.T) {
	t.Helper()
	user, run, erasure, err := splitLiveKey(th.key)
	if !slices.Contains([]string{"runKey", "erasureKey", "userErasureKey"}, th.by) {
		if err == nil {
			t.Fatalf("%s has the key %q: it is treated as a live entry of %q", th.what, th.key, user)
		}
		return
	}
	back := key{userPrefix + user, userErasureSort}
	if s := th.s; run != "" {
		back = s.runKey(run)
	} else if erasure != (Erasure{}) {
		back = s.erasureKey(erasure)
	}
	if err != nil || user != th.s.user.Key() || back != th.key {
		t.Fatalf("%s has the key %q: it is read as run %q, erasure %v of %q: %v", th.what, th.key, run, erasure, user,
			err)
	}
}

// FuzzKeys calls each function of keys.go that builds a key or a span of keys.
func TestKeys_AllAreFuzzed(t *testing.T) {
	t.Attr("row", "B3: every function that builds a key is fuzzed")
	file, err := parser.ParseFile(token.NewFileSet(), "keys.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := storeOf(t, "bob")
	things, queries := furnished(s, []string{"t1"})
	called := map[string]bool{"beginning": true} // builds the spans
	for _, th := range append(things, sockets([]*Store{s}, "c1")...) {
		called[th.by] = true
	}
	for _, q := range queries {
		called[q.by] = true
	}
	makers := 0
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Type.Results == nil {
			continue
		}
		if typ, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && (typ.Name == "key" || typ.Name == "span") {
			makers++
			if !called[fn.Name.Name] {
				t.Errorf("%s makes a %s that FuzzKeys does not call: add it to furnished", fn.Name.Name, typ.Name)
			}
		}
	}
	if makers == 0 {
		t.Error("keys.go makes no key")
	}
	t.Attr("figure",
		fmt.Sprintf("%d functions build keys or spans, all fuzzed: %d keys and %d queries of each user", makers,
			len(things), len(queries)))
}

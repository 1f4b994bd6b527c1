package storetest

import (
	"fmt"
	"strings"

	"carrel/shared/chat"
)

// pairs are users whose ids nearly meet: who calls, and beside whom. FuzzKeys has each separator that there is.
func pairs() [][2]string {
	return [][2]string{
		{"bob", "bobby"}, {"bobby", "bob"}, {"a", "a#T#t1"}, {"a#T#t1", "a"}, {"a#D", "a"}, {"a=23b", "a#b"},
		{"h", "h=AA"},
		{"auth0|abc", "auth0*abc"}, {"Ünï 🎈/%", "Ünï 🎈/"}, {strings.Repeat("x", 300), strings.Repeat("x", 301)},
	}
}

// names are what a call names: things of theirs that mine lacks, or things that both have.
type names struct {
	thread          chat.ThreadID
	asks            chat.ThreadID    // a thread that waits for a person
	question        chat.InterruptID // what it waits with
	done, run, wait chat.RunID       // ended, running and waiting
	socket          chat.ConnectionID
	epoch           chat.Epoch // of the other's thread
}

// named are names that only they have, and names that both have. There are four alphabets: plain names, names that are
// each other's beginnings, parts of our own keys, and names as long as they may be.
func named(alphabet int) (only, both names) {
	switch alphabet % 4 {
	case 1:
		return names{thread: "t", asks: "t:", question: "q", done: "r", run: "r.", wait: "r.-", socket: "c="},
			names{thread: "t.", asks: "t.:", question: "q.", done: "r_", run: "r:", wait: "r::", socket: "c"}
	case 2:
		return names{thread: "THREAD", asks: "RUN:", question: "OWNER", done: "QUEUE", run: "ERASURE", wait: "IN",
				socket: "CONN=*%"},
			names{thread: "E:000000000001", asks: "M", question: "D", done: "T", run: "L", wait: "ERASE",
				socket: "OWNER=U!"}
	case 3:
		long := func(n int, end string) string { return strings.Repeat("x", n-len(end)) + end }
		of := func(end string) names {
			return names{
				thread: chat.ThreadID(long(chat.MaxID, "t"+end)), asks: chat.ThreadID(long(chat.MaxID, "a"+end)),
				question: chat.InterruptID(long(chat.MaxID, "q"+end)),
				done:     chat.RunID(long(chat.MaxID-len(asks), "d"+end)),
				run:      chat.RunID(long(chat.MaxID, "r"+end)), wait: chat.RunID(long(chat.MaxID, "w"+end)),
				socket: chat.ConnectionID(long(chat.MaxID, "c"+end)),
			}
		}
		return of("1"), of("2")
	}
	return names{thread: "t-theirs", asks: "a-theirs", question: "q-theirs", done: "done-theirs", run: "run-theirs",
			wait: "wait-theirs", socket: socket(1, "").ID},
		names{thread: "t1", asks: "a1", question: "q1", done: "done", run: "run", wait: "wait",
			socket: socket(2, "").ID}
}

// asks begins the id of the run that asks: see ask.
const asks = "asks-"

// nobodys are names of things that nobody has.
func nobodys() names {
	return names{
		thread: "t-nobody", asks: "a-nobody", question: "q-nobody", done: "done-nobody", run: "run-nobody",
		wait:   "wait-nobody",
		socket: socket(99, "").ID, epoch: "e-nobody",
	}
}

// without is what a call gave as text, without the names that it was called with.
func (n names) without(got any, err error) string {
	said := fmt.Sprintf("%+v, %v", got, err)
	for _, name := range []string{string(n.thread), string(n.asks), string(n.question), string(n.done), string(n.run),
		string(n.wait), string(n.socket), string(n.epoch)} {
		said = strings.ReplaceAll(said, name, "…")
	}
	return said
}

// hostile are ids that could reach beyond their place in a key.
func hostile() []string {
	return []string{
		"", "run#IN#x", "run#", "#", "t1#e", "~", strings.Repeat("x", chat.MaxID+1), "é#", "\x00#", "é", "t1 ", "t1\n",
		"\x00", "\xff", "t1~",
	}
}

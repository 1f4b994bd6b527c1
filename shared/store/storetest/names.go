package storetest

import (
	"fmt"
	"strings"

	"carrel/shared/chat"
)

// pairs returns pairs of users with nearly equal ids: the caller and the other user. FuzzKeys covers every separator.
func pairs() [][2]string {
	return [][2]string{
		{"a", "a#T#t1"}, {"bob", "bobby"}, {"bobby", "bob"}, {"a#T#t1", "a"}, {"a#D", "a"}, {"a=23b", "a#b"},
		{"h", "h=AA"},
		{"auth0|abc", "auth0*abc"}, {"Ünï 🎈/%", "Ünï 🎈/"}, {strings.Repeat("x", 300), strings.Repeat("x", 301)},
	}
}

// names are the ids that a call uses: ids that only the other user has, or ids that both users have.
type names struct {
	thread            chat.ThreadID
	suspended         chat.ThreadID    // a thread that awaits input
	interrupt         chat.InterruptID // the open interrupt of that thread
	done, run, queued chat.RunID       // an ended, a running and a queued run
	socket            chat.ConnectionID
	epoch             chat.Epoch // of the other user's thread
}

// nameSets returns names that only the other user has, and names that both users have. There are four alphabets: plain
// names, names that are prefixes of each other, parts of the store's own keys, and names of the maximum length.
func nameSets(alphabet int) (only, both names) {
	switch alphabet % 4 {
	case 1:
		return names{thread: "t", suspended: "t:", interrupt: "q", done: "r", run: "r.", queued: "r.-", socket: "c="},
			names{thread: "t.", suspended: "t.:", interrupt: "q.", done: "r_", run: "r:", queued: "r::", socket: "c"}
	case 2:
		return names{thread: "THREAD", suspended: "RUN:", interrupt: "OWNER", done: "QUEUE", run: "ERASURE",
				queued: "IN",
				socket: "CONN=*%"},
			names{thread: "E:000000000001", suspended: "M", interrupt: "D", done: "T", run: "L", queued: "ERASE",
				socket: "OWNER=U!"}
	case 3:
		long := func(n int, end string) string { return strings.Repeat("x", n-len(end)) + end }
		of := func(end string) names {
			return names{
				thread: chat.ThreadID(long(chat.MaxID, "t"+end)), suspended: chat.ThreadID(long(chat.MaxID, "a"+end)),
				interrupt: chat.InterruptID(long(chat.MaxID, "q"+end)),
				done:      chat.RunID(long(chat.MaxID-len(suspendedPrefix), "d"+end)),
				run:       chat.RunID(long(chat.MaxID, "r"+end)), queued: chat.RunID(long(chat.MaxID, "w"+end)),
				socket: chat.ConnectionID(long(chat.MaxID, "c"+end)),
			}
		}
		return of("1"), of("2")
	}
	only = names{
		thread: "t-other", suspended: "a-other", interrupt: "q-other", done: "done-other", run: "run-other",
		queued: "queued-other", socket: socket(1, "").ID,
	}
	both = names{
		thread: "t1", suspended: "a1", interrupt: "q1", done: "done", run: "run", queued: "queued",
		socket: socket(2, "").ID,
	}
	return only, both
}

// suspendedPrefix begins the id of the suspended run that ask makes.
const suspendedPrefix = "asks-"

// absentNames returns names that no user has.
func absentNames() names {
	return names{
		thread: "t-absent", suspended: "a-absent", interrupt: "q-absent", done: "done-absent", run: "run-absent",
		queued: "queued-absent", socket: socket(99, "").ID, epoch: "e-absent",
	}
}

// without returns the result of a call as text, with the names of the call replaced.
func (n names) without(got any, err error) string {
	text := fmt.Sprintf("%+v, %v", got, err)
	for _, name := range []string{string(n.thread), string(n.suspended), string(n.interrupt), string(n.done),
		string(n.run),
		string(n.queued), string(n.socket), string(n.epoch)} {
		text = strings.ReplaceAll(text, name, "…")
	}
	return text
}

// hostile returns ids that could change the structure of a key.
func hostile() []string {
	return []string{
		"", "run#IN#x", "run#", "#", "t1#e", "~", strings.Repeat("x", chat.MaxID+1), "é#", "\x00#", "é", "t1 ", "t1\n",
		"\x00", "\xff", "t1~",
	}
}

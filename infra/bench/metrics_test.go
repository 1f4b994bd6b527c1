package bench_test

import (
	"fmt"
	"math"
)

// metric is one line of the table. docs/performance.md has the same lines with the same targets.
type metric struct {
	name, unit string
	peer       string // "" if there is none
	ratio      bound  // of Carrel's figure to the peer's
	figure     bound  // of Carrel's figure alone
}

// bound is a target. The zero bound has none.
type bound struct{ least, most float64 }

func least(n float64) bound { return bound{least: n} }
func most(n float64) bound  { return bound{most: n} }

// set reports whether there is a target.
func (b bound) set() bool { return b != bound{} }

// met reports whether a figure meets the target.
func (b bound) met(x float64) bool {
	return !math.IsNaN(x) && x >= b.least && (b.most == 0 || x <= b.most)
}

// text returns the target in words. unit is the unit of the bounded figure.
func (b bound) text(unit string) string {
	switch {
	case b.least == b.most && b.set():
		return fmt.Sprintf("= %s%s", figure(b.least), unit)
	case b.least > 0:
		return fmt.Sprintf("≥ %s%s", figure(b.least), unit)
	case b.most > 0:
		return fmt.Sprintf("≤ %s%s", figure(b.most), unit)
	}
	return "–"
}

// The names of the peers. The first three and the last are programs of other people, the others are Carrel itself.
const (
	centrifugePeer = "centrifuge"
	serverlessPeer = "serverless-offline"
	langgraphPeer  = "LangGraph, in memory"
	adkPeer        = "ADK for Go"
	echoPeer       = "an echo"
	streamPeer     = "the stream itself"
	newThread      = "a new thread"
	oneUser        = "one user"
	naivePeer      = "a naive emitter"
)

// Names of metrics.
const (
	firstEvent     = "first event, AWS-like"
	firstText      = "first text, AWS-like"
	lastEvent      = "RUN_FINISHED, AWS-like"
	modelWord      = "a provider's first word, to a window"
	firstOfMany    = "first event, no delays, 20 users"
	lagOfDelta     = "delay of a delta, 1 device, AWS-like"
	functionsAlone = "runs/s per CPU, functions alone"
	wholeStack     = "runs/s per CPU, whole stack"
	wholeStackADK  = "runs/s per CPU, whole stack, once more"
	requestsOfMany = "requests of a run with 10,000 users"
	unitsOfMany    = "write units of a run with 10,000 users"
	cpuOfMany      = "CPU of a run with 10,000 users"
	turnRequests   = "reference turn, 1 device: requests"
	turnUnits      = "reference turn, 1 device: write units"
	turnPosts1     = "reference turn, 1 device: posts"
	turnPosts3     = "reference turn, 3 devices: posts"
	turnDollars1   = "a million turns, 1 device"
	turnDollars3   = "a million turns, 3 devices"
	oldThread      = "functions' CPU of a run in a thread of 500 runs"
)

// metrics returns the table's lines in their order.
func metrics() []metric {
	return []metric{
		{name: firstEvent, unit: "ms", figure: most(86)},
		{name: firstText, unit: "ms", figure: most(120)},
		{name: lastEvent, unit: "ms", figure: most(140)},
		{name: modelWord, unit: "ms", peer: streamPeer},
		{name: firstOfMany, unit: "ms", peer: echoPeer},
		{name: "resume of 100, with the dial", unit: "ms", peer: centrifugePeer, ratio: most(12)},
		{name: functionsAlone, unit: "runs/s", figure: least(180)},
		{name: wholeStack, unit: "runs/s", peer: langgraphPeer, figure: least(70)},
		{name: wholeStackADK, unit: "runs/s", peer: adkPeer},
		{name: oldThread, unit: "ms", peer: newThread, ratio: most(1.10)},
		{name: "connects, local stack", unit: "connects/s", peer: serverlessPeer, ratio: least(2)},
		{name: "push to one socket", unit: "posts/s", peer: serverlessPeer, ratio: least(1.8)},
		{name: "push to 50 sockets", unit: "posts/s", peer: serverlessPeer, ratio: least(2)},
		{name: "posts, 16 callers", unit: "posts/s", peer: centrifugePeer, ratio: least(0.8)},
		{name: "fan-out to 3, 16 callers", unit: "messages/s", peer: centrifugePeer, ratio: least(0.3)},
		{name: "idle socket", unit: "KiB", peer: centrifugePeer, ratio: most(0.45)},
		{name: turnRequests, unit: "requests", peer: naivePeer, figure: most(41)},
		{name: turnUnits, unit: "units", peer: naivePeer, figure: most(46)},
		{name: turnPosts1, unit: "posts", peer: naivePeer, figure: most(24)},
		{name: turnPosts3, unit: "posts", peer: naivePeer, figure: most(70)},
		{name: turnDollars1, unit: "$", peer: naivePeer, figure: most(66)},
		{name: turnDollars3, unit: "$", peer: naivePeer, figure: most(112)},
		{name: lagOfDelta, unit: "ms", peer: naivePeer},
		{name: requestsOfMany, unit: "requests", peer: oneUser, ratio: bound{1, 1}},
		{name: unitsOfMany, unit: "units", peer: oneUser, ratio: bound{1, 1}},
		{name: cpuOfMany, unit: "ms", peer: oneUser, ratio: most(1.082)},
	}
}

// figure prints a number with three digits, or all digits of a larger one.
func figure(x float64) string {
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return "–"
	case size >= 100 || x == math.Trunc(x):
		return fmt.Sprintf("%.0f", x)
	case size >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

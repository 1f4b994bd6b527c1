package meters_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"carrel/infra/local/meters"
)

// A message is billed in units of 32 KB, an invocation in milliseconds.
func TestMessagesAndGBSeconds(t *testing.T) {
	for bytes, want := range map[int]int{0: 1, 1: 1, 32 << 10: 1, 32<<10 + 1: 2, 128 << 10: 4} {
		if got := meters.Messages(bytes); got != want {
			t.Errorf("a message of %d bytes is billed as %d messages, want %d", bytes, got, want)
		}
	}
	for took, want := range map[time.Duration]float64{
		0: 0, time.Microsecond: 0.25 / 1000, time.Millisecond: 0.25 / 1000, time.Millisecond + 1: 0.5 / 1000,
		time.Second: 0.25,
	} {
		if got := meters.GBSeconds(256, took); math.Abs(got-want) > 1e-9 {
			t.Errorf("256 MB for %s are %g GB-s, want %g", took, got, want)
		}
	}
}

// The price of a million of each unit is that of the price list.
func TestDollars(t *testing.T) {
	const million = 1_000_000
	for _, c := range []struct {
		use  meters.Use
		want float64
	}{
		{meters.Use{Invocations: million}, 0.20},
		{meters.Use{GBSeconds: million}, 13.3334},
		{meters.Use{WriteUnits: million}, 0.625},
		{meters.Use{ReadUnits: million}, 0.125},
		{meters.Use{Sent: million}, 1},
		{meters.Use{Received: million}, 1},
		{meters.Use{Requests: million, Posts: million}, 0}, // billed by their units and messages
	} {
		if got := c.use.Dollars(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v costs $%g, want $%g", c.use, got, c.want)
		}
	}
	if got := meters.MinuteDollars(million); math.Abs(got-0.25) > 1e-9 {
		t.Errorf("a million minutes cost $%g", got)
	}
}

// A run's use also counts for its function and the total. Connections count while they are open.
func TestRead(t *testing.T) {
	now := time.Unix(0, 0)
	m := meters.New(func() time.Time { return now })
	m.Add(meters.For{Function: "A", Run: "r"}, meters.Use{Requests: 2, WriteUnits: 3})
	m.Add(meters.For{Function: "B", Run: "r"}, meters.Use{Posts: 1, Sent: 1})
	m.Add(meters.For{Function: "A"}, meters.Use{Requests: 1})
	m.Opened("x")
	m.Opened("y")
	now = now.Add(time.Minute)
	m.Closed("x")
	m.Closed("x")
	now = now.Add(time.Minute)
	r := m.Read()
	if u := m.Run("r"); u != (meters.Use{Requests: 2, WriteUnits: 3, Posts: 1, Sent: 1}) || u != r.Runs[0].Use {
		t.Errorf("use of the run: %+v", u)
	}
	if r.Functions["A"].Requests != 3 || r.Functions["B"].Posts != 1 ||
		r.Total != (meters.Use{Requests: 3, WriteUnits: 3, Posts: 1, Sent: 1}) {
		t.Errorf("functions %+v, total %+v", r.Functions, r.Total)
	}
	if r.Connections != (meters.Connections{Opened: 2, Open: 1, Minutes: 3}) {
		t.Errorf("connections %+v", r.Connections)
	}
	if want := (3*0.625 + 1 + 3*0.25) / 1e6; math.Abs(r.Dollars-want) > 1e-12 {
		t.Errorf("the total costs $%g, want $%g", r.Dollars, want)
	}
}

// Only the newest runs are kept, so that the memory of a stack that runs for days stays bounded.
func TestRead_OldRuns(t *testing.T) {
	m := meters.New(nil)
	for i := range 1500 {
		m.Add(meters.For{Function: "A", Run: fmt.Sprint(i)}, meters.Use{Requests: 1})
	}
	r := m.Read()
	if len(r.Runs) != 1000 || r.Runs[0].ID != "1499" || m.Run("0") != (meters.Use{}) || r.Total.Requests != 1500 {
		t.Errorf("%d runs, newest %s, run 0 %+v, %d requests", len(r.Runs), r.Runs[0].ID, m.Run("0"), r.Total.Requests)
	}
}

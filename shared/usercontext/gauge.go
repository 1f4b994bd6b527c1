package usercontext

import "sync"

// Gauge counts the user contexts of one process, children included. Make one in main and give it to every Config; nil
// counts nothing. It is safe for concurrent use.
type Gauge struct {
	mu     sync.Mutex
	counts Counts
	taken  Counts // what Take has told of
}

// Counts are the user contexts of a process since its start.
type Counts struct {
	Made    int
	Active  int // made and not cleaned: one of which something is left stays here until that ends
	Cleaned int
	Peak    int // the most that were active at once
}

// Counts reads the gauge.
func (g *Gauge) Counts() Counts {
	if g == nil {
		return Counts{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// Take reads the gauge; Made and Cleaned are those since the last Take, so that what several processes tell can be added.
func (g *Gauge) Take() Counts {
	if g == nil {
		return Counts{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.counts
	now.Made -= g.taken.Made
	now.Cleaned -= g.taken.Cleaned
	g.taken = g.counts
	return now
}

func (g *Gauge) make() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.Made++
	g.counts.Active++
	g.counts.Peak = max(g.counts.Peak, g.counts.Active)
}

func (g *Gauge) clean() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.Active--
	g.counts.Cleaned++
}

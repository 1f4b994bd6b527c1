package usercontext

import "sync"

// Gauge counts the user contexts of one process, including children. main creates one and passes it in every Config. A
// nil Gauge counts nothing. It is safe for concurrent use.
type Gauge struct {
	mu     sync.Mutex
	counts Counts
	taken  Counts // the counts at the last Take
}

// Counts holds the numbers of user contexts of a process since it started.
type Counts struct {
	Made    int
	Active  int // created and not cleaned; a context with residue stays active until the residue ends
	Cleaned int
	Peak    int // the greatest value of Active
}

// Counts returns the current counts.
func (g *Gauge) Counts() Counts {
	if g == nil {
		return Counts{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// Take returns the current counts, with Made and Cleaned since the previous Take. The values that several processes
// report can therefore be added up.
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

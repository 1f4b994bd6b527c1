package usercontext

import "sync"

// Gauge counts the user contexts of one process, children included. Make one in main and give it to every Config; nil
// counts nothing. It is safe for concurrent use.
type Gauge struct {
	mu     sync.Mutex
	counts Counts
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

package stack

import (
	"context"
	"embed"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/meters"
	"carrel/infra/site"
)

// newestRuns is the number of runs whose use is shown.
const newestRuns = 20

// censusTime bounds one census of the table.
const censusTime = 5 * time.Second

//go:embed ops
var opsFiles embed.FS

// operations serves the page /ops and the data that its script polls every second, /ops.json.
type operations struct {
	stack *Stack
	count counter
}

func (o *operations) serve(mux *http.ServeMux) {
	for path, name := range map[string]string{"/ops": "ops.html", "/ops.js": "ops.js", "/ops.css": "ops.css"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { o.file(w, name) })
	}
	mux.HandleFunc("GET /ops.json", o.now)
}

func (o *operations) file(w http.ResponseWriter, name string) {
	content, err := opsFiles.ReadFile("ops/" + name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", site.ContentType(name))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(content) // a write error means that the client has disconnected
}

// function describes a function for the page.
type function struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Timeout   string `json:"timeout"`
	MemoryMB  int    `json:"memoryMB"`
	PerTenant bool   `json:"perTenant"`
}

// moment is the state of the stack at one moment, as /ops.json returns it.
type moment struct {
	At         int64                         `json:"at"` // ms since the epoch
	Endpoints  Endpoints                     `json:"endpoints"`
	Functions  []function                    `json:"functions"`
	Gateway    apigateway.Counts             `json:"gateway"`
	Usage      []proxy.Usage                 `json:"usage"`
	Meters     meters.Reading                `json:"meters"`  // with the newest runs only; /meters.json has all
	Metrics    map[string]map[string]float64 `json:"metrics"` // by metric and function, since the stack started
	Violations []string                      `json:"violations"`
	Census     census                        `json:"census"`
	Problem    string                        `json:"problem,omitempty"` // the error of the census
	Lines      []string                      `json:"lines"`             // log lines from number ?lines= on
	Next       int                           `json:"next"`              // the value of ?lines= for the next request
}

// now responds with the current state of the stack.
func (o *operations) now(w http.ResponseWriter, r *http.Request) {
	s := o.stack
	from, err := strconv.Atoi(r.URL.Query().Get("lines"))
	if err != nil {
		from = 0 // all lines that the journal still has
	}
	m := moment{At: time.Now().UnixMilli(), Endpoints: s.endpoints.Public(), Functions: []function{},
		Gateway: s.gateway.Counts(), Usage: s.proxy.Usage(), Meters: s.meter.Read()}
	m.Meters.Runs = m.Meters.Runs[:min(newestRuns, len(m.Meters.Runs))]
	for _, f := range s.template.Functions {
		m.Functions = append(m.Functions, function{f.LogicalID, f.Name, f.Timeout.String(), f.MemoryMB, f.PerTenant})
	}
	m.Metrics, m.Violations = s.journal.metricTotals()
	m.Lines, m.Next = s.journal.tail(from)
	ctx, cancel := context.WithTimeout(r.Context(), censusTime)
	defer cancel()
	if s.keepsUsers() {
		if m.Census, err = o.count.take(ctx, s.database, s.endpoints.Table); err != nil {
			m.Problem = err.Error()
		}
	} else {
		m.Problem = "The table has no keys pk and sk, so its users and runs are unknown."
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(m) // a write error means that the client has disconnected
}

// keepsUsers reports whether the template's first table has the keys of Carrel's own.
func (s *Stack) keepsUsers() bool {
	return len(s.template.Tables) > 0 && s.template.Tables[0].Hash.Name == "pk" &&
		s.template.Tables[0].Range.Name == "sk"
}

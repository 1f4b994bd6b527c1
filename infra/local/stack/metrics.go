package stack

import (
	"encoding/json"
	"maps"
	"strings"
)

// metrics sums up the metrics that the functions print in CloudWatch's embedded metric format. The journal owns it and
// guards it with its mutex.
type metrics struct {
	totals     map[string]map[string]float64 // by metric and function
	violations []string                      // the newest log lines with an IsolationViolation metric
}

// lastViolations is the maximum number of violations.
const lastViolations = 20

// read adds the metrics of a log line. It ignores a line without metrics.
func (m *metrics) read(line string) {
	if !strings.Contains(line, `"CloudWatchMetrics"`) {
		return
	}
	var values map[string]json.RawMessage
	var head struct {
		AWS struct {
			CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
		} `json:"_aws"`
		Function string
	}
	if json.Unmarshal([]byte(line), &values) != nil || json.Unmarshal([]byte(line), &head) != nil {
		return
	}
	if m.totals == nil {
		m.totals = map[string]map[string]float64{}
	}
	for _, d := range head.AWS.CloudWatchMetrics {
		for _, metric := range d.Metrics {
			m.add(metric.Name, head.Function, values[metric.Name])
			if metric.Name == "IsolationViolation" {
				m.violations = append(m.violations, line)
				m.violations = m.violations[max(0, len(m.violations)-lastViolations):]
			}
		}
	}
}

// add adds one value, or all values of a list.
func (m *metrics) add(name, function string, value json.RawMessage) {
	var many []float64
	if json.Unmarshal(value, &many) != nil {
		many = make([]float64, 1)
		if json.Unmarshal(value, &many[0]) != nil {
			return
		}
	}
	if m.totals[name] == nil {
		m.totals[name] = map[string]float64{}
	}
	for _, v := range many {
		m.totals[name][function] += v
	}
}

func (m *metrics) copy() (map[string]map[string]float64, []string) {
	totals := map[string]map[string]float64{}
	for name, by := range m.totals {
		totals[name] = maps.Clone(by)
	}
	return totals, append([]string{}, m.violations...)
}

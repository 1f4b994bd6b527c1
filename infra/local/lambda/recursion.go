package lambda

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// maxRuns is the maximum number of runs of a function in one chain of invocations. Lambda's limit is "approximately
// 16".
const maxRuns = 16

// exceedsRecursion reports whether an invocation is beyond the limit for its chain.
func (f *function) exceedsRecursion(inv *invocation) bool {
	return !f.AllowRecursion && inv.runs > maxRuns
}

// extendTrace returns the trace header of an invocation and the number of runs of its function in the chain. from is
// the header of the calling invocation, or "". The header has X-Ray's format, and the SDKs pass it on. Its Lineage
// counts the runs of each function. All attempts of an event have the same header.
func extendTrace(from, id, arn string) (trace string, runs int) {
	digits := strings.ReplaceAll(id, "-", "")
	root, sampled, lineage := "1-"+digits[:8]+"-"+digits[8:], "0", []string(nil)
	for part := range strings.SplitSeq(from, ";") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "Root":
			root = value
		case "Sampled":
			sampled = value
		case "Lineage":
			lineage = strings.Split(value, "|")
		}
	}
	h := fnv.New32a()
	h.Write([]byte(arn))
	function := fmt.Sprintf("%08x", h.Sum32())
	lineage = slices.DeleteFunc(lineage, func(step string) bool {
		name, count, _ := strings.Cut(step, ":")
		if name != function {
			return false
		}
		n, err := strconv.Atoi(count)
		if err == nil {
			runs = n
		}
		return true
	})
	runs++
	lineage = append(lineage, fmt.Sprintf("%s:%d", function, runs))
	return fmt.Sprintf("Root=%s;Parent=%s;Sampled=%s;Lineage=%s", root, digits[:16], sampled,
		strings.Join(lineage, "|")), runs
}

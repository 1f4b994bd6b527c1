package lambda

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// maxRuns is how often a function may run in one chain of invokes. Lambda's figure is "approximately 16".
const maxRuns = 16

// loops tells whether an invocation is one too many of its chain.
func (f *function) loops(inv *invocation) bool { return !f.AllowRecursion && inv.runs > maxRuns }

// extend makes the trace header of an invocation from that of the one that asked for it ("": nobody did), as X-Ray shapes
// it and the SDKs hand it on; each try of one event has the same. Its Lineage counts the runs of each function in the
// chain; runs is the count of this one.
func extend(from, id, arn string) (trace string, runs int) {
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
	return fmt.Sprintf("Root=%s;Parent=%s;Sampled=%s;Lineage=%s", root, digits[:16], sampled, strings.Join(lineage, "|")), runs
}

// Command usagesample prints a made-up usage table for the sample agent advisor, to be pasted into a message.
//
//	go run ./infra/cli/usagesample -days 30 -seed 1      (or: make usage-sample)
package main

import (
	"flag"
	"fmt"

	"carrel/agents/own/advisor"
)

func main() {
	days := flag.Int("days", advisor.SampleDays, "how many days, at most 60")
	seed := flag.Uint64("seed", advisor.SampleSeed, "equal seeds print equal tables")
	flag.Parse()
	fmt.Print(advisor.Sample(*seed, *days))
}

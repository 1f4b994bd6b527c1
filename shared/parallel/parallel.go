// Package parallel runs functions at the same time. The store and the functions use it for requests that do not depend
// on each other.
package parallel

import "sync"

// Do calls the functions at the same time and returns when all of them have returned.
func Do(functions ...func()) {
	var all sync.WaitGroup
	for _, f := range functions {
		all.Go(f)
	}
	all.Wait()
}

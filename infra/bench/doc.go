// Package bench measures Carrel on the local stack, beside programs of other people and beside itself. Because machines
// are noisy, each figure is compared with another figure from the same run. It holds tests only; make bench runs them.
//
//	run                       runs each benchmark in a process of its own, and then prints the table
//	metrics_test.go           the metrics, their peers and their targets
//	compare_test.go           rounds, controls, raw lines, the table
//	peers_test.go, testdata   the peers: their versions, installation and start
//	process_test.go           servers in processes of their own, with their processor time and memory
//	sockets_test.go, caller_test.go   sockets and posts without a client library, for Carrel and peers alike
//	device_test.go            a device of a user, which checks that each event arrives once and in its place
//
// The other files hold the benchmarks, each named after its subject.
package bench

// Package audit proves by running what Carrel promises: the whole local stack, real function processes and real sockets,
// and every frame of every socket looked at. It holds tests only.
package audit

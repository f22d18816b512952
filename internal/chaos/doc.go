// Package chaos attacks the promise of a fleet: once an invalidation was answered,
// no node accepts what it has ended. Its tests start three real nodes and a real
// PostgreSQL with a synchronous standby, put every connection between them through
// links that can be held, slowed and cut, have clients present credentials on all
// nodes while others end them, and let faults loose. What the clients saw is
// checked against the promise, on the one clock of the program that runs them.
//
// A run plays every fault once. With -for it goes on with faults that a seed
// chooses, until the time is over:
//
//	go test ./internal/chaos -run TestThePromise -v -timeout 0 -args -for 10m -seed 7
//
// That the checker sees what is wrong is shown on binaries that were broken on
// purpose: the build replaces sources of the product by copies in which a line
// is another one. What shows only when several events fall together, within
// microseconds or in a failover that loses changes, breaks in the simulation of
// package fleet: loads that compare numbers alone or take any store, records
// without names, acknowledgements by number, leases that are not fenced, revisions
// from a sequence and repetitions that take what they read for safe.
package chaos

// Package conformance drives the built binary with the official clients, and
// with the requests of those whose run-times are not at hand. It holds tests
// only; the script run installs what they need and starts them.
package conformance
